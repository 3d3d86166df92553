// The platform in one process: opens the ground, the roles and the port, and closes them in the other order.
import { isIPv6 } from 'node:net'
import { z } from 'zod'
import type { Files } from './files/files.ts'
import { type Ground, openGround } from './ground.ts'
import { isLoopbackHost } from './kit/address.ts'
import { ANY_ADDRESS } from './kit/certificates.ts'
import { type Clock, systemClock } from './kit/clock.ts'
import { type Closing, opening } from './kit/closing.ts'
import { type Config, ConfigError, type Role } from './kit/config.ts'
import { type ControlCall, ControlDoor, controlCall } from './kit/control.ts'
import { type Doors, openDoors } from './kit/doors.ts'
import { handOverSocket, mustLieOnDisk, writeEdgeKeys } from './kit/edge-files.ts'
import { type FileUrls, fileUrls } from './kit/file-urls.ts'
import { GrpcDoor } from './kit/grpc.ts'
import type { Log } from './kit/log.ts'
import type { PushGateway } from './kit/push-gateway.ts'
import { type Random, systemRandom } from './kit/random.ts'
import { Router } from './kit/router.ts'
import type { PublicKeys } from './kit/secrets.ts'
import { SocketDoor } from './kit/socket-door.ts'
import { UploadKeyRotation } from './kit/upload-key-rotation.ts'
import { WebSocketDoor } from './kit/websocket.ts'
import { openServices, type Services } from './services.ts'

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

/** For `heliograph status`. */
function statusOf({ config, counters, clock }: Ground, push: PushGateway | undefined): ControlCall {
  const startedMs = clock.steadyMs()
  return controlCall('status', z.null(), async () => ({
    pid: process.pid,
    upSeconds: Math.round((clock.steadyMs() - startedMs) / 1000),
    memoryMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
    roles: config.roles,
    push: push ? await pushHealthOf(push) : null,
    counters: counters.snapshot(),
  }))
}

/** Nothing is known of the providers where the gateway is another process that does not answer. */
async function pushHealthOf(push: PushGateway) {
  const providers = await push.health().catch(() => undefined)
  return { answers: providers !== undefined, providers: providers ?? [] }
}

/** For the nginx in front, if there is one: its keys, and the socket by which it hands files over. */
async function openHandOver(config: Config, tellKeys: () => Promise<void>, files: Files | undefined) {
  if (!files?.takeOver || !config.edge.nginx) return undefined
  await tellKeys()
  return SocketDoor.open(handOverSocket(config), files.takeOver)
}

/** What clients and their doors reach, and what the operator's commands do. */
async function openDoorsOf(ground: Ground, { chat, files, rest }: Services): Promise<Doors> {
  const { config, clock, onBug, certificates: tls } = ground
  const { refusesClient, authenticate, admit } = chat
  const router = new Router(rest, { authenticate, clock, refusesClient, onBug })
  const grpc = new GrpcDoor({
    ...{ methods: chat.grpc, clock, onBug, refusesClient },
    authenticate: (authorization, connection) => chat.authenticateOn(connection, authorization),
  })
  const websockets = new WebSocketDoor({ router, clock, admit, refusesClient })
  const streams = files && { streams: files.serve }
  return openDoors({ ...config.listen, ...streams, tls, router, websockets, grpc, clock })
}

export const up = (config: Config, options: UpOptions): Promise<Platform> =>
  opening((closing) => open(config, options, closing))

async function open(config: Config, options: UpOptions, closing: Closing): Promise<Platform> {
  const { log, onFatal, clock = systemClock, random = systemRandom } = options
  checkSupported(config)
  mustLieOnDisk(config)
  const ground = await openGround(config, { log, onFatal, clock, random }, closing)
  const { secrets, certificates, counters, outbox, onBug } = ground
  const tellKeys = async () => {
    if (config.edge.nginx) await writeEdgeKeys(config.secrets, secrets.uploads, clock.nowMs())
  }
  const uploadKeys = closing.add(
    new UploadKeyRotation({ ...{ secrets, clock, onBug }, folder: config.secrets, onChanged: tellKeys }),
  )
  let port = config.listen.port
  const own = () => `https://localhost:${port}`
  const cdns = fileUrls(config.files.urls, own)
  const addresses = { own, cdns, public: () => publicUrlOf(config, port) }
  const services = await openServices(ground, addresses, closing)
  const doors = await openDoorsOf(ground, services)
  let graceMs = 0
  closing.add({ close: () => doors.close(graceMs) })
  port = doors.port
  closing.add({ close: () => services.chat.release() })
  const takesOver = await openHandOver(config, tellKeys, services.files)
  if (takesOver) closing.add(takesOver)
  const calls = [statusOf(ground, services.push), uploadKeys.call, ...services.chat.control]
  closing.add(await ControlDoor.open({ dataFolder: config.data, calls, onBug }))
  return {
    ready: {
      pid: process.pid,
      urls: urlsOf(config.roles, own(), cdns()),
      tls: { caPem: certificates.caPemFile, caDer: certificates.caDerFile },
      keys: secrets.publicKeys,
      outbox,
    },
    fingerprint: certificates.fingerprint,
    async close(withinMs = CLOSE_GRACE_MS) {
      graceMs = withinMs
      await closing.close()
      log.info('stopped', counters.snapshot())
    },
  }
}
