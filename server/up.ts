// The platform in one process: opens storage, keys and the port, and closes them in the other order.
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { z } from 'zod'
import { openCaptcha } from './captcha/captcha.ts'
import { captchaEvents } from './captcha/events.ts'
import { RemoteVerifier } from './captcha/remote-verifier.ts'
import { captchaSettings } from './captcha/settings.ts'
import { GatewayPush, OutboxPush } from './chat/challenges/push.ts'
import { type Chat, openChat } from './chat/chat.ts'
import { chatEvents } from './chat/events.ts'
import { openSenders } from './chat/verification/senders/open.ts'
import { fileEvents } from './files/events.ts'
import { type Files, openFiles } from './files/files.ts'
import { isLoopbackHost } from './kit/address.ts'
import { MemoryBus } from './kit/bus.ts'
import { certificateHosts } from './kit/certificate-hosts.ts'
import { ANY_ADDRESS, type Certificates, openCertificates } from './kit/certificates.ts'
import { type Clock, systemClock } from './kit/clock.ts'
import { type Config, ConfigError, type Role } from './kit/config.ts'
import { type ControlCall, ControlDoor, controlCall } from './kit/control.ts'
import { Counters } from './kit/counters.ts'
import { openDoors } from './kit/doors.ts'
import { filesFolder, handOverSocket, mustLieOnDisk, writeEdgeKeys } from './kit/edge-files.ts'
import { type FileUrls, fileUrls } from './kit/file-urls.ts'
import { GrpcDoor } from './kit/grpc.ts'
import type { Log } from './kit/log.ts'
import { type Random, systemRandom } from './kit/random.ts'
import { Router } from './kit/router.ts'
import { openSecrets, type PublicKeys, type Secrets } from './kit/secrets.ts'
import { SocketDoor } from './kit/socket-door.ts'
import { openSql } from './kit/sql/open.ts'
import type { Sql } from './kit/sql/sql.ts'
import { UploadKeyRotation } from './kit/upload-key-rotation.ts'
import { WebSocketDoor } from './kit/websocket.ts'
import { pushEvents } from './push/events.ts'
import { openPush } from './push/push.ts'
import { RemoteGateway } from './push/remote-gateway.ts'
import { storageEvents } from './storage/events.ts'
import { openStorage } from './storage/storage.ts'

/** The file store is known by the addresses of its CDNs. */
export type UrlName = Exclude<Role, 'files'> | keyof FileUrls

/** What scripts and tests need to find their way; the ready file holds it (design §7). */
export type Ready = {
  readonly pid: number
  /** Of the roles that this process has. */
  readonly urls: Readonly<Record<UrlName, string>>
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

/** What a process without the chat server has in its place: nobody is known there, and no socket opens. */
const NO_CHAT: Chat = {
  rest: [],
  grpc: [],
  admit: async () => undefined,
  authenticate: async () => undefined,
  authenticateOn: async () => undefined,
  release: () => {},
  refusesClient: undefined,
  control: [],
  close: async () => {},
}

function openDatabase(config: Config, secrets: Secrets, onFatal: (error: Error) => void): Promise<Sql> {
  if (config.storage.engine === 'postgres') {
    return openSql({ engine: 'postgres', url: config.storage.url! }, onFatal)
  }
  const file = join(config.data, 'storage', 'heliograph.db')
  return openSql({ engine: 'sqlite', file, key: secrets.databaseKey }, onFatal)
}

/** What the configuration may ask for, but this version does not have. */
function checkSupported({ bus }: Config): void {
  const missing = [bus.engine === 'redis' && 'bus.engine: redis'].find(Boolean)
  if (missing) throw new ConfigError(`This version of Heliograph does not have "${missing}" yet.`)
}

/** How people elsewhere reach the server, as far as it was told. */
function publicUrlOf({ listen }: Config, port: number): string {
  const { host, url } = listen
  if (url !== undefined) return url
  const name = isLoopbackHost(host) || ANY_ADDRESS.includes(host) ? 'localhost' : host
  return `https://${isIPv6(name) ? `[${name}]` : name}:${port}`
}

const urlsOf = (roles: readonly Role[], url: string, cdns: FileUrls): Ready['urls'] =>
  Object.assign({}, ...roles.map((role) => (role === 'files' ? cdns : { [role]: url })))

/** Another process of ours may have a certificate of our own authority. */
const believed = (provider: string, { caPemFile }: Certificates): string | undefined =>
  provider === 'own' ? [...rootCertificates, readFileSync(caPemFile, 'utf8')].join('\n') : undefined

/** For `heliograph status`. */
function statusOf(roles: readonly Role[], counters: Counters, clock: Clock): ControlCall {
  const startedMs = clock.steadyMs()
  return controlCall('status', z.null(), () => ({
    pid: process.pid,
    upSeconds: Math.round((clock.steadyMs() - startedMs) / 1000),
    memoryMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
    roles,
    counters: counters.snapshot(),
  }))
}

/** For the nginx in front, if there is one: its keys, and the socket by which it hands files over. */
async function openHandOver(config: Config, tellKeys: () => Promise<void>, files: Files | undefined) {
  if (!files?.takeOver || !config.edge.nginx) return undefined
  await tellKeys()
  return SocketDoor.open(handOverSocket(config), files.takeOver)
}

export async function up(config: Config, options: UpOptions): Promise<Platform> {
  const { log, onFatal, clock = systemClock, random = systemRandom } = options
  checkSupported(config)
  mustLieOnDisk(config)
  const outbox = join(config.data, 'outbox.jsonl')
  const senders = config.roles.includes('chat') ? await openSenders(config, { outbox, clock }) : []
  await mkdir(join(config.data, 'storage'), { recursive: true, mode: 0o700 })
  const secrets = await openSecrets(config.secrets)
  const captchaSetup = captchaSettings(config, secrets.captchaSecret)
  const certificates = await openCertificates({
    secretsFolder: config.secrets,
    dataFolder: config.data,
    hosts: certificateHosts(config),
    nowMs: clock.nowMs(),
  })
  const sql = await openDatabase(config, secrets, onFatal)
  const onBug = (error: unknown, where: string) => {
    log.error('bug', { where, error: error instanceof Error ? (error.stack ?? error.name) : 'not an error' })
  }
  const tellKeys = async () => {
    if (config.edge.nginx) await writeEdgeKeys(config.secrets, secrets.uploads, clock.nowMs())
  }
  const uploadKeys = new UploadKeyRotation({
    ...{ secrets, clock, onBug },
    folder: config.secrets,
    onChanged: tellKeys,
  })
  // The outbox stands in for push where it stands in for everything else.
  const outboxPush = config.registration.senders.every((sender) => sender === 'console')
    ? new OutboxPush(outbox, clock)
    : undefined
  const bus = new MemoryBus()
  const counters = new Counters()
  const events = chatEvents(counters, log)
  let port = config.listen.port
  const closeSql = async (error: unknown) => {
    await uploadKeys.close()
    await sql.close()
    throw error
  }
  const ownUrl = () => `https://localhost:${port}`
  const cdns = fileUrls(config.files.urls, ownUrl)
  const files = config.roles.includes('files')
    ? await openFiles({
        ...{ clock, random, secrets, onBug, events: fileEvents(counters, log) },
        ...config.files,
        urls: cdns,
        folder: filesFolder(config),
      }).catch(closeSql)
    : undefined
  // Its tables are there without its role: what an account has in them goes with the account.
  const storage = await openStorage({
    ...{ sql, clock, random, secrets, config, onBug },
    events: storageEvents(counters),
    objects: files?.avatars,
  }).catch(async (error) => {
    await files?.close()
    return closeSql(error)
  })
  const captcha = config.roles.includes('captcha')
    ? await openCaptcha({
        ...{ sql, clock, random, secrets, config, onBug, settings: captchaSetup },
        events: captchaEvents(counters),
      }).catch(closeSql)
    : undefined
  const verifier = captchaSetup.remote
    ? new RemoteVerifier({ ...captchaSetup.remote, ca: believed(captchaSetup.remote.provider, certificates) })
    : captcha?.verifier
  const push = config.roles.includes('push')
    ? await openPush({ config, secrets, clock, random, events: pushEvents(counters, log) }).catch(closeSql)
    : undefined
  const gateway =
    config.push.url !== undefined
      ? new RemoteGateway({
          ...{ url: config.push.url, clock, secret: secrets.pushSecret.toString('base64url') },
          ca: believed('own', certificates),
        })
      : push?.gateway
  const challengePush = gateway ? new GatewayPush(gateway, outboxPush) : outboxPush
  const chat = config.roles.includes('chat')
    ? await openChat({
        ...{ sql, bus, clock, random, secrets, config, senders, challengePush, events, onBug },
        elsewhere: [storage.belongings],
        captcha: verifier,
        push: gateway,
        ownUrl,
        publicUrl: () => publicUrlOf(config, port),
        fingerprint: certificates.fingerprint,
        ...(files && { avatars: files.avatars, backupObjects: files.backupObjects }),
      }).catch(closeSql)
    : NO_CHAT
  const { refusesClient } = chat
  const rest = [
    ...chat.rest,
    ...(config.roles.includes('storage') ? storage.rest : []),
    ...(captcha?.rest ?? []),
    ...(push?.rest ?? []),
  ]
  const router = new Router(rest, { authenticate: chat.authenticate, clock, refusesClient, onBug })
  const grpc = new GrpcDoor({
    methods: chat.grpc,
    clock,
    onBug,
    refusesClient,
    authenticate: (authorization, connection) => chat.authenticateOn(connection, authorization),
  })
  const websockets = new WebSocketDoor({ router, clock, admit: chat.admit, refusesClient })
  const close = async () => {
    await chat.close()
    await captcha?.close()
    await push?.close()
    await storage.close()
    await files?.close()
    await uploadKeys.close()
    await sql.close()
    log.info('stopped', counters.snapshot())
  }
  const doors = await openDoors({
    tls: certificates,
    router,
    ...(files && { streams: files.serve }),
    websockets,
    grpc,
    clock,
    ...config.listen,
  }).catch(async (error) => {
    await close()
    throw error
  })
  port = doors.port
  const takesOver = await openHandOver(config, tellKeys, files).catch(async (error) => {
    await doors.close(0)
    await close()
    throw error
  })
  const statusCall = statusOf(config.roles, counters, clock)
  const control = await ControlDoor.open({
    ...{ dataFolder: config.data, onBug },
    calls: [statusCall, uploadKeys.call, ...chat.control],
  }).catch(async (error) => {
    await takesOver?.close()
    await doors.close(0)
    await close()
    throw error
  })
  return {
    ready: {
      pid: process.pid,
      urls: urlsOf(config.roles, ownUrl(), cdns()),
      tls: { caPem: certificates.caPemFile, caDer: certificates.caDerFile },
      keys: secrets.publicKeys,
      outbox,
    },
    fingerprint: certificates.fingerprint,
    async close(graceMs = CLOSE_GRACE_MS) {
      await control.close()
      await takesOver?.close()
      chat.release()
      await doors.close(graceMs)
      await close()
    },
  }
}
