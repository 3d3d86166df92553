// The chat server's rules over a real store, on a clock wound by hand, without its doors.
import type { TestContext } from 'node:test'
import { PrivateKey, ServerCertificate } from '@signalapp/libsignal-client'
import {
  GenericServerSecretParams,
  ServerSecretParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { z } from 'zod'
import { BackupStore } from '../server/chat/backups/store.ts'
import { openCapabilities } from '../server/chat/capabilities.ts'
import type { ChallengesOptions } from '../server/chat/challenges/challenges.ts'
import { chatEvents } from '../server/chat/events.ts'
import { LinkingStore } from '../server/chat/linking/store.ts'
import { MessageStore } from '../server/chat/messages/store.ts'
import type { AvatarStore } from '../server/chat/profiles/avatars.ts'
import { ProfileStore } from '../server/chat/profiles/store.ts'
import type { CodeSender } from '../server/chat/verification/senders/sender.ts'
import type { VerificationOptions } from '../server/chat/verification/verification.ts'
import type { BackupObjects } from '../server/kit/backup-objects.ts'
import { MemoryBus } from '../server/kit/bus.ts'
import { ManualClock } from '../server/kit/clock.ts'
import { type Config, loadConfig } from '../server/kit/config.ts'
import { codeBreaker, codes } from '../server/kit/config-codes.ts'
import { Counters } from '../server/kit/counters.ts'
import type { FreeRoom } from '../server/kit/free-room.ts'
import { type LimitRule, MemoryLimitStore } from '../server/kit/limit-store.ts'
import { type LimitOverrides, Limits } from '../server/kit/limits.ts'
import { type Log, silentLog } from '../server/kit/log.ts'
import type { PushGateway } from '../server/kit/push-gateway.ts'
import { type Random, SeededRandom } from '../server/kit/random.ts'
import { UploadKeyRing } from '../server/kit/upload-keys.ts'
import { openChatStorage } from './chat-storage.ts'
import { beforeClosing, freshEngine, type OpenEngine } from './engines.ts'
import { WatchedSql } from './watched-sql.ts'

export type RulesOptions = {
  /** A storage of its own; SQLCipher unless told. */
  readonly engine?: OpenEngine
  readonly challenges?: Partial<Pick<ChallengesOptions, 'captcha' | 'push' | 'strangersPerDay'>>
  readonly limits?: LimitOverrides
  readonly log?: Log
  readonly senders?: readonly CodeSender[]
  /** As in the configuration; without it codes cost nothing. */
  readonly codes?: z.input<typeof codes>
  readonly codeBreaker?: z.input<typeof codeBreaker>
  readonly verification?: Partial<Pick<VerificationOptions, 'demanded' | 'captcha' | 'push'>>
  readonly backups?: Partial<Pick<Config['backups'], 'level'>>
  readonly objects?: BackupObjects
  readonly avatars?: AvatarStore | undefined
  readonly push?: PushGateway
  readonly attachments?: Partial<Config['attachments']>
  /** A host with plenty of it unless told. */
  readonly measureRoom?: () => Promise<FreeRoom>
  readonly registration?: Partial<Config['registration']>
}
export type Rules = Awaited<ReturnType<typeof openRules>>

/** Notes what was taken from, as `name: key`. */
class NotedLimitStore extends MemoryLimitStore {
  readonly taken: string[] = []

  override take(rule: LimitRule, key: string, permits: number): number {
    this.taken.push(`${rule.name}: ${key}`)
    return super.take(rule, key, permits)
  }
}

const UPLOAD_KEYS = UploadKeyRing.of({
  bearerKey: Buffer.alloc(32, 1),
  accessKeyId: 'HELIO',
  secretAccessKey: 'secret',
})

const makeZkSecrets = () => ({
  serverSecretParams: ServerSecretParams.generate(),
  genericServerSecretParams: GenericServerSecretParams.generate(),
  backupServerSecretParams: GenericServerSecretParams.generate(),
})
let made: ReturnType<typeof makeZkSecrets> | undefined
/** The server's zkgroup parameters: the same for all tests of a file. */
export const zkSecrets = (): ReturnType<typeof makeZkSecrets> => {
  made ??= makeZkSecrets()
  return made
}
export const serverSecretParams = (): ServerSecretParams => zkSecrets().serverSecretParams

function certificateSecrets() {
  const trustRoot = PrivateKey.generate()
  const senderCertificateKey = PrivateKey.generate()
  const serverCertificate = ServerCertificate.new(1, senderCertificateKey.getPublicKey(), trustRoot)
  return { senderCertificateKey, serverCertificate, trustRoot: trustRoot.getPublicKey() }
}

function sharedSecrets(random: Random) {
  const keys = () => ({ secret: random.bytes(32), userIdKey: random.bytes(32) })
  return {
    externalServices: { storage: keys(), directory: keys(), svr2: keys(), svrb: keys() },
    uploads: UPLOAD_KEYS,
    linkDeviceSecret: Buffer.alloc(32, 2),
    reportSecret: Buffer.alloc(32, 3),
    turnSecret: Buffer.alloc(32, 4),
    verificationSecret: Buffer.alloc(32, 5),
  }
}

const PLENTY = { diskBytes: Number.MAX_SAFE_INTEGER, memoryBytes: Number.MAX_SAFE_INTEGER }

/** A server of its own for one test, whose bugs fail it. */
export async function openRules(t: TestContext, options: RulesOptions = {}) {
  const bugs: unknown[] = []
  const open = options.engine ?? (await freshEngine('sqlite', t))
  const sql = new WatchedSql(await openChatStorage(open!))
  const clock = new ManualClock()
  const random = new SeededRandom(t.name)
  const bus = new MemoryBus()
  const counters = new Counters()
  const events = chatEvents(counters, options.log ?? silentLog)
  const onBug = (error: unknown) => void bugs.push(error)
  const limitStore = new NotedLimitStore(clock)
  const limits = new Limits({ clock, overrides: options.limits, store: limitStore })
  const { trustRoot, ...signer } = certificateSecrets()
  const rules = await openCapabilities({
    ...{ sql, bus, clock, random, events, onBug, limits },
    secrets: { ...zkSecrets(), ...signer, ...sharedSecrets(random) },
    config: configOf(options),
    senders: options.senders ?? [],
    captcha: options.challenges?.captcha ?? options.verification?.captcha,
    challengePush: options.challenges?.push ?? options.verification?.push,
    backupObjects: options.objects,
    avatars: options.avatars,
    push: options.push,
    ownUrl: () => 'https://own',
    measureRoom: options.measureRoom ?? (async () => PLENTY),
  })
  beforeClosing(t, () => rules.close())
  t.after(() => {
    if (bugs.length > 0) throw new AggregateError(bugs, 'the rules met bugs of their own')
  })
  return {
    ...rules,
    ...{ sql, clock, random, bus, counters, events, limits, trustRoot, bugs, onBug },
    store: new MessageStore(sql),
    profileStore: new ProfileStore(sql),
    backupStore: new BackupStore(sql),
    linkingStore: new LinkingStore(sql),
    limited: limitStore.taken,
  }
}

/** Small bounds, so that tests reach them. */
function configOf(options: RulesOptions): Config {
  const { challenges, attachments, backups, registration, verification } = options
  const config = loadConfig(undefined)
  return {
    ...config,
    challenges: { ...config.challenges, strangersPerDay: challenges?.strangersPerDay ?? 0 },
    attachments: { ...config.attachments, maxBytes: 1000, cdn: 3, ...attachments },
    backups: { ...config.backups, level: 'paid', maxMessagesBytes: 5000, maxMediaBytes: 10_000, ...backups },
    registration: {
      ...config.registration,
      captcha: verification?.demanded ? 'on' : 'off',
      budgets: options.codes ? 'on' : 'off',
      ...registration,
    },
    codes: codes.parse(options.codes ?? {}),
    codeBreaker: codeBreaker.parse(options.codeBreaker ?? {}),
  }
}
