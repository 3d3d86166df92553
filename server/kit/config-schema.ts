// What an operator can set: every key with its description and its default. The documents are generated from here.
import { z } from 'zod'
import { MAX_DISCOVERY_NUMBERS } from '../../wire/limits.ts'
import { CAPABILITIES } from '../../wire/types.ts'
import { bucket } from './config-bucket.ts'
import { captcha } from './config-captcha.ts'
import { clients, remoteConfig } from './config-clients.ts'
import { codeBreaker, codes } from './config-codes.ts'
import { push } from './config-push.ts'
import { SENDERS, smtp, twilio, webhook } from './config-senders.ts'
import { LIMITER_NAMES, LIMITERS, type LimiterName } from './limiters.ts'

export const ROLES = ['chat', 'storage', 'files', 'captcha', 'push'] as const
export type Role = (typeof ROLES)[number]

const limit = (name: LimiterName) =>
  z
    .strictObject({
      bucket: z.int().min(1).optional().describe('permits of a full bucket'),
      refill: z.number().positive().optional().describe('seconds per permit'),
    })
    .optional()
    .describe(
      `bucket ${LIMITERS[name].bucket}, refill ${LIMITERS[name].secondsPerPermit}; by ${LIMITERS[name].key}`,
    )

type LimitShape = { [Name in LimiterName]: ReturnType<typeof limit> }
const limitShape = Object.fromEntries(LIMITER_NAMES.map((name) => [name, limit(name)])) as LimitShape

const GIB = 1024 ** 3
/** Clients pad to the next power of 1.05, and add 16 bytes of IV, the cipher's own padding and 32 of MAC. */
const MAX_ATTACHMENT_BYTES = 107_335_792

const listen = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on. `0.0.0.0` or `::` opens the server to the network.'),
  url: z
    .url({ protocol: /^https$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .describe(
      'How clients reach this server, for links that people are given; `https://<host>:<port>` if not set.',
    ),
  port: z.int().min(0).max(65_535).default(8443).describe('The one TLS port. 0 takes any free one.'),
  maxConnectionsPerAddress: z
    .int()
    .min(1)
    .default(1000)
    .describe('Connections that one address (an IPv6 /64) may hold at a time. Loopback is not counted.'),
})

const storage = z
  .strictObject({
    engine: z
      .enum(['sqlite', 'postgres'])
      .default('sqlite')
      .describe('`sqlite` is embedded and encrypted, in the data folder; `postgres` is a server at `url`.'),
    url: z.string().min(1).optional().describe('`postgres://user:password@host/database`'),
  })
  .refine((value) => value.engine !== 'postgres' || value.url !== undefined, {
    path: ['url'],
    message: 'is needed with engine postgres',
  })

const bus = z
  .strictObject({
    engine: z
      .enum(['memory', 'redis'])
      .default('memory')
      .describe('`memory` is enough for one process; several need `redis`.'),
    urls: z.array(z.string().min(1)).default([]).describe('`redis://host:6379`; more than one is a cluster.'),
  })
  .refine((value) => value.engine !== 'redis' || value.urls.length > 0, {
    path: ['urls'],
    message: 'is needed with engine redis',
  })

const MIB = 1024 ** 2

const registration = z.strictObject({
  mode: z
    .enum(['open', 'invite', 'closed'])
    .optional()
    .describe(
      'Who may register a new account: everybody, who was invited, or nobody. If not set, `invite` where `listen.host` can be reached by others, and `open` on loopback.',
    ),
  captcha: z.enum(['on', 'off']).default('off').describe('Ask for a captcha before a code is sent.'),
  budgets: z
    .enum(['on', 'off'])
    .optional()
    .describe(
      'Bounds on codes, against toll fraud: see `codes` and `codeBreaker`. `on` as soon as any sender but the console is there, unless set.',
    ),
  senders: z
    .array(z.enum(SENDERS))
    .min(1)
    .default(['console'])
    .refine((senders) => new Set(senders).size === senders.length, 'must name each sender once')
    .describe('How codes are sent, in order of preference. `console` writes them to the outbox file.'),
  serviceName: z
    .string()
    .regex(/^[^{}\p{Cc}]{1,20}$/u, 'must be 1 to 20 characters')
    .default('Heliograph')
    .describe('Whose code it is, in messages and calls.'),
  androidAppHash: z
    .string()
    .regex(/^[A-Za-z0-9+/]{11}$/, 'must be the 11 characters of an app hash')
    .optional()
    .describe('The hash of your Android app: with it at the end of an SMS the app reads the code by itself.'),
  minFreeDisk: z
    .int()
    .min(0)
    .default(512 * MIB)
    .describe('With fewer bytes free on the disk of the data nobody new is let in.'),
  minFreeMemory: z
    .int()
    .min(0)
    .default(64 * MIB)
    .describe('With fewer bytes of memory free nobody new is let in.'),
  requiredCapabilities: z
    .array(z.enum(CAPABILITIES))
    .default([])
    .describe(
      'Capabilities without which a client is too old to register (499). Signal’s servers demand `spqr`.',
    ),
})

const cdn = (number: number) =>
  z
    .url({ protocol: /^https?$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .describe(`The address of CDN ${number}; \`<this server>/cdn${number}\` if not set.`)

const files = z
  .strictObject({
    store: z
      .enum(['disk', 's3'])
      .default('disk')
      .describe('Where files are kept: in `folder`, or in a bucket of S3’s kind, `s3`.'),
    s3: bucket.optional().describe('The bucket, with store `s3`.'),
    urls: z
      .strictObject({ cdn0: cdn(0), cdn2: cdn(2), cdn3: cdn(3) })
      .prefault({})
      .describe('Where clients find the file store. Upload forms name it.'),
    folder: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Where the bytes lie, of a bucket those of unfinished uploads: `files` in the data folder if not set.',
      ),
    maxBytes: z
      .int()
      .min(1)
      .optional()
      .describe('The most that the file store holds. Without it, as much as its disk has.'),
    attachmentDays: z
      .int()
      .min(1)
      .max(3650)
      .default(45)
      .describe('For how many days attachments are kept. Clients expect those of 45 days.'),
  })
  .refine(({ store, s3 }) => store !== 's3' || s3 !== undefined, {
    path: ['s3'],
    message: 'is needed with store s3',
  })

const hostName = z.string().regex(/^[A-Za-z0-9.:*-]+$/, 'must be a host name or an address')

const nginx = z
  .strictObject({
    host: hostName.default('0.0.0.0').describe('Address on which nginx listens.'),
    port: z.int().min(1).max(65_535).default(443).describe('Port on which nginx listens.'),
    names: z
      .array(hostName)
      .default([])
      .describe('Host names of nginx; the certificate that Heliograph makes gets them too.'),
    certificate: z
      .string()
      .min(1)
      .optional()
      .describe('PEM of a certificate and its chain; Heliograph’s own if not set.'),
    certificateKey: z.string().min(1).optional().describe('PEM file of its key.'),
  })
  .refine((value) => (value.certificate === undefined) === (value.certificateKey === undefined), {
    path: ['certificateKey'],
    message: 'belongs to certificate: set both or none',
  })
  .optional()
  .describe(
    'An nginx in front, on the same host and of the same user: it takes signed uploads and serves downloads. `heliograph edge nginx` writes its configuration.',
  )

const edge = z.strictObject({ nginx })

const attachments = z.strictObject({
  maxBytes: z
    .int()
    .min(1)
    .default(MAX_ATTACHMENT_BYTES)
    .describe('The largest attachment, encrypted; 100 MiB with Signal’s padding unless set.'),
  cdn: z
    .union([z.literal(2), z.literal(3)])
    .default(3)
    .describe('How clients upload: `3` is TUS, `2` is for clients that do not know it.'),
})

const backups = z.strictObject({
  level: z
    .enum(['free', 'paid'])
    .default('paid')
    .describe('What everybody may do: `paid` keeps media too, `free` only without a receipt for more.'),
  maxMessagesBytes: z.int().min(1).default(GIB).describe('The largest backup of messages.'),
  maxMediaBytes: z
    .int()
    .min(1)
    .default(100 * GIB)
    .describe('All media of one backup together.'),
  graceDays: z.int().min(1).default(120).describe('A backup that nobody refreshed for so long is removed.'),
})

const groups = z.strictObject({
  maxSize: z
    .int()
    .min(2)
    .max(1001)
    .default(1001)
    .describe('Members of one group and those invited; and so many may ask to join, or be banned.'),
  maxTitleBytes: z.int().min(1).default(1024).describe('The longest title, encrypted.'),
  maxDescriptionBytes: z.int().min(1).default(8192).describe('The longest description, encrypted.'),
})

const relayUrl = z.string().regex(/^(turns?|stun):\S+$/, 'must begin with turn:, turns: or stun:')

const relay = z.strictObject({
  urls: z.array(relayUrl).min(1),
  urlsWithIps: z.array(relayUrl).default([]),
  hostname: z.string().min(1).optional(),
})

const calling = z.strictObject({
  relays: z
    .array(relay)
    .default([])
    .describe(
      'Relays for calls, the preferred first: `{ urls: ["turn:turn.example.org"], urlsWithIps: ["turn:192.0.2.1"], hostname: turn.example.org }`. Without any, calls connect directly or not at all.',
    ),
  ttl: z
    .int()
    .min(60)
    .max(7 * 86_400)
    .default(43_200)
    .describe('Seconds for which clients keep a relay’s credentials; the relay takes them twice as long.'),
})

const credentials = z.strictObject({
  senderCertificateDays: z
    .int()
    .min(1)
    .max(30)
    .default(7)
    .describe(
      'For how many days a sender certificate is valid: so long a removed device can seem to be one.',
    ),
})

const discovery = z.strictObject({
  mode: z
    .enum(['off', 'single', 'batch'])
    .default('single')
    .describe(
      'How people find others by phone number: not at all, one typed number at a time, or whole address books, which this server then sees.',
    ),
  maxNumbers: z
    .int()
    .min(1)
    .max(MAX_DISCOVERY_NUMBERS)
    .default(500)
    .describe('Numbers in one question in mode `batch`.'),
})

const challenges = z.strictObject({
  strangersPerDay: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'To how many accounts that did not write to it a sender may write by name in a day (UTC) before it has to solve a challenge; `0` is no limit. Counted in memory only; a restart forgets.',
    ),
})

const log = z.strictObject({
  level: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .describe('The least serious line logged.'),
})

export const configSchema = z.strictObject({
  listen: listen.prefault({}).describe('Where clients connect.'),
  data: z
    .string()
    .min(1)
    .default('./data')
    .describe('The folder of all state; made if missing. Relative to the working directory.'),
  secrets: z
    .string()
    .min(1)
    .optional()
    .describe(
      'The folder of keys; `secrets` in the data folder if not set. Keep a copy of it apart from the data.',
    ),
  roles: z
    .array(z.enum(ROLES))
    .min(1)
    .default([...ROLES])
    .describe('What this process does.'),
  storage: storage.prefault({}).describe('Where accounts and messages are kept.'),
  bus: bus.prefault({}).describe('What carries wake-ups and presence.'),
  registration: registration.prefault({}).describe('How accounts come to be.'),
  codes: codes
    .prefault({})
    .describe('How many verification codes are sent, and where to. Needs `registration.budgets`.'),
  codeBreaker: codeBreaker
    .prefault({})
    .describe(
      'Closes a prefix or a country whose codes nobody enters, by SMS and voice apart. Needs `registration.budgets`.',
    ),
  twilio: twilio.prefault({}).describe('The senders `twilio` and `twilio-verify`.'),
  webhook: webhook.prefault({}).describe('The sender `webhook`: any gateway that takes codes by HTTP.'),
  smtp: smtp.prefault({}).describe('The sender `smtp`: codes go by mail.'),
  captcha: captcha.prefault({}).describe('How people show that they are none of many machines.'),
  files: files.prefault({}).describe('The file store: attachments, avatars, stickers, backups.'),
  edge: edge.prefault({}).describe('What stands in front of the server.'),
  attachments: attachments.prefault({}).describe('What may be attached to messages.'),
  backups: backups.prefault({}).describe('What may be backed up.'),
  groups: groups.prefault({}).describe('How large groups may be.'),
  credentials: credentials.prefault({}).describe('What devices show to others.'),
  calling: calling.prefault({}).describe('Calls between two people.'),
  discovery: discovery.prefault({}).describe('How people find others by phone number.'),
  push: push.prefault({}).describe('How devices are woken.'),
  challenges: challenges.prefault({}).describe('When a sender has to show that it is no machine.'),
  limits: z
    .strictObject(limitShape)
    .prefault({})
    .describe('Rate limiters that differ from Signal’s values: `name: { bucket, refill }`.'),
  clients: clients.prefault({}).describe('Which clients are served.'),
  remoteConfig,
  log: log.prefault({}).describe('What is written to standard error.'),
})

type Parsed = z.output<typeof configSchema>
/** The configuration in force: paths are absolute, every key has a value. */
export type Config = Omit<Parsed, 'secrets'> & { readonly secrets: string }
