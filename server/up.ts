// The platform in one process: opens storage, keys and the port, and closes them in the other order.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { OutboxPush } from './chat/challenges/push.ts'
import { openChat } from './chat/chat.ts'
import { chatEvents } from './chat/events.ts'
import { OutboxSender } from './chat/verification/senders.ts'
import { MemoryBus } from './kit/bus.ts'
import { openCertificates } from './kit/certificates.ts'
import { type Clock, systemClock } from './kit/clock.ts'
import { type Config, ConfigError } from './kit/config.ts'
import { Counters } from './kit/counters.ts'
import { openDoors } from './kit/doors.ts'
import { GrpcDoor } from './kit/grpc.ts'
import type { Log } from './kit/log.ts'
import { type Random, systemRandom } from './kit/random.ts'
import { Router } from './kit/router.ts'
import { openSecrets, type PublicKeys, type Secrets } from './kit/secrets.ts'
import { openSql } from './kit/sql/open.ts'
import type { Sql } from './kit/sql/sql.ts'
import { WebSocketDoor } from './kit/websocket.ts'

/** What scripts and tests need to find their way; the ready file holds it (design §7). */
export type Ready = {
  readonly pid: number
  readonly urls: { readonly chat: string }
  readonly tls: { readonly caPem: string; readonly caDer: string }
  readonly keys: PublicKeys
  readonly outbox: string
}

export type Platform = {
  readonly ready: Ready
  /** SHA-256 of the certificate authority's certificate. */
  readonly fingerprint: string
  /** Says goodbye to clients, finishes what they asked, at most `graceMs`, and closes the storage. */
  close(graceMs?: number): Promise<void>
}

export type UpOptions = {
  readonly log: Log
  /** Called if the process can't go on. */
  readonly onFatal: (error: Error) => void
  readonly clock?: Clock
  readonly random?: Random
}

const CLOSE_GRACE_MS = 5_000

function openStorage(config: Config, secrets: Secrets, onFatal: (error: Error) => void): Promise<Sql> {
  if (config.storage.engine === 'postgres') {
    return openSql({ engine: 'postgres', url: config.storage.url! }, onFatal)
  }
  const file = join(config.data, 'storage', 'heliograph.db')
  return openSql({ engine: 'sqlite', file, key: secrets.databaseKey }, onFatal)
}

/** What the configuration may ask for, but this version does not have. */
function checkSupported({ registration, bus }: Config): void {
  const missing = [
    registration.mode === 'invite' && 'registration.mode: invite',
    registration.captcha === 'on' && 'registration.captcha: on',
    registration.budgets === 'on' && 'registration.budgets: on',
    bus.engine === 'redis' && 'bus.engine: redis',
  ].find(Boolean)
  if (missing) throw new ConfigError(`This version of Heliograph does not have "${missing}" yet.`)
}

export async function up(config: Config, options: UpOptions): Promise<Platform> {
  const { log, onFatal, clock = systemClock, random = systemRandom } = options
  checkSupported(config)
  await mkdir(join(config.data, 'storage'), { recursive: true, mode: 0o700 })
  const secrets = await openSecrets(config.secrets)
  const certificates = await openCertificates({
    secretsFolder: config.secrets,
    dataFolder: config.data,
    hosts: [config.listen.host],
    nowMs: clock.nowMs(),
  })
  const sql = await openStorage(config, secrets, onFatal)
  const onBug = (error: unknown, where: string) => {
    log.error('bug', { where, error: error instanceof Error ? (error.stack ?? error.name) : 'not an error' })
  }
  const outbox = join(config.data, 'outbox.jsonl')
  const senders = [new OutboxSender(outbox, clock)]
  // The outbox stands in for push where it stands in for everything else.
  const challengePush = config.registration.senders.every((sender) => sender === 'console')
    ? new OutboxPush(outbox, clock)
    : undefined
  const bus = new MemoryBus()
  const counters = new Counters()
  const events = chatEvents(counters, log)
  let port = config.listen.port
  const opened = await openChat({
    ...{ sql, bus, clock, random, secrets, config, senders, challengePush, events, onBug },
    ownUrl: () => `https://localhost:${port}`,
  }).catch(async (error) => {
    await sql.close()
    throw error
  })
  const { refusesClient } = opened
  const router = new Router(opened.rest, { authenticate: opened.authenticate, clock, refusesClient, onBug })
  const grpc = new GrpcDoor({
    methods: opened.grpc,
    clock,
    onBug,
    refusesClient,
    authenticate: (authorization, connection) => opened.authenticateOn(connection, authorization),
  })
  const websockets = new WebSocketDoor({ router, clock, admit: opened.admit, refusesClient })
  const close = async () => {
    await opened.close()
    await sql.close()
    log.info('stopped', counters.snapshot())
  }
  const doors = await openDoors({
    tls: certificates,
    router,
    websockets,
    grpc,
    clock,
    ...config.listen,
  }).catch(async (error) => {
    await close()
    throw error
  })
  port = doors.port
  return {
    ready: {
      pid: process.pid,
      urls: { chat: `https://localhost:${doors.port}` },
      tls: { caPem: certificates.caPemFile, caDer: certificates.caDerFile },
      keys: secrets.publicKeys,
      outbox,
    },
    fingerprint: certificates.fingerprint,
    async close(graceMs = CLOSE_GRACE_MS) {
      opened.release()
      await doors.close(graceMs)
      await close()
    },
  }
}
