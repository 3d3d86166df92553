// The websocket door: frames in become requests to the router, and whoever serves a socket may ask the client things.
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { DeviceAddress } from '../../wire/types.ts'
import {
  CLOSE,
  type Close,
  decodeFrame,
  encodeRequest,
  encodeResponse,
  MAX_FRAME_BYTES,
  type RequestFrame,
  type ResponseFrame,
} from '../../wire/websocket.ts'
import type { Clock } from './clock.ts'
import { REASON_PHRASES } from './reason-phrases.ts'
import { REFUSAL_STATUS } from './refusal.ts'
import type { Channel as AnyChannel, Headers, RefusesClient, Response, Router } from './router.ts'

type Channel = Extract<AnyChannel, { door: 'websocket' }>

/** What a socket's owner is told. */
export type SocketListener = {
  answered(id: number, status: number): void
  /** The socket can take more after `congested` was true. */
  drained(): void
  closed(): void
}

/** A request that opens a socket, the same for HTTP/1.1 and HTTP/2. */
export type Upgrade = { readonly path: string; readonly headers: Headers; readonly remoteAddress: string }

export type Admission =
  | {
      readonly admitted: true
      readonly device: DeviceAddress | undefined
      readonly socket?: Channel['socket']
      readonly headers: Readonly<Record<string, string>>
      /** Called when the socket is open. */
      readonly opened: (connection: Connection) => void
    }
  | { readonly admitted: false; readonly status: number; readonly headers: Readonly<Record<string, string>> }

/** Decides on an upgrade; nothing means that no socket lives at this path (404). */
export type Admit = (upgrade: Upgrade) => Promise<Admission | undefined>

const TOO_OLD: Admission = { admitted: false, status: REFUSAL_STATUS['upgrade-required'], headers: {} }

/** A socket that is silent this long is dead; one silent for half of it is pinged. */
export const IDLE_TIMEOUT_MS = 90_000
const SWEEP_MS = 15_000
/** Requests in progress on one socket before it is no longer read. */
const MAX_PENDING = 512
/** Bytes waiting to be taken by a client before it is no longer read. */
const MAX_BUFFERED_BYTES = 2 * 1024 * 1024

const SOCKET_OPTIONS = {
  allowSynchronousEvents: true,
  maxBufferedChunks: 4096,
  maxFragments: 512,
  maxPayload: MAX_FRAME_BYTES,
  skipUTF8Validation: true,
}

/** The headers of an upgrade that its requests inherit (signal-api §1.3.1). */
function inherited(headers: Headers): Headers {
  const kept: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || name.startsWith(':') || name.includes('websocket-')) continue
    if (name === 'connection' || name === 'upgrade' || name === 'host' || name === 'authorization') continue
    kept[name] = value
  }
  return kept
}

function effectiveHeaders(upgrade: Headers, inner: readonly string[]): Headers {
  if (inner.length === 0) return upgrade
  const headers: Record<string, string | undefined> = { ...upgrade }
  for (const line of inner) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    if (name === 'x-forwarded-for' || (name === 'user-agent' && upgrade[name] !== undefined)) continue
    headers[name] = line.slice(colon + 1).trim()
  }
  return headers
}

/** One open socket. Frames written in one turn of the event loop leave in one piece. */
export class Connection {
  readonly channel: Channel
  /** By the steady clock. */
  lastHeardMs: number
  private readonly door: WebSocketDoor
  private readonly headers: Headers
  private readonly websocket: WebSocket
  private readonly stream: Duplex
  private listener: SocketListener | undefined
  private lastId = 0
  private pending = 0
  private corked = false
  private waitingForDrain = false
  private finishing: Close | undefined
  private whenGone: Set<() => void> | undefined

  constructor(door: WebSocketDoor, websocket: WebSocket, stream: Duplex, headers: Headers, channel: Channel) {
    this.door = door
    this.websocket = websocket
    this.stream = stream
    this.headers = inherited(headers)
    this.channel = channel
    this.lastHeardMs = door.clock.steadyMs()
    websocket.on('message', (data, binary) => this.received(data as Buffer, binary))
    websocket.on('ping', () => this.heard())
    websocket.on('pong', () => this.heard())
    websocket.on('error', () => {}) // the close that follows says it
    websocket.on('close', () => this.ended())
  }

  get device(): DeviceAddress | undefined {
    return this.channel.device
  }

  get isOpen(): boolean {
    return this.websocket.readyState === WebSocket.OPEN
  }

  /** True while the client takes bytes more slowly than it is sent them. */
  get congested(): boolean {
    return this.stream.writableLength > MAX_BUFFERED_BYTES
  }

  listen(listener: SocketListener): void {
    this.listener = listener
  }

  /** Asks the client; `answered` tells what it said. Returns the id of the request. */
  request(verb: string, path: string, headers: readonly string[], body: Uint8Array): number {
    const id = ++this.lastId
    this.send(encodeRequest({ verb, path, headers, body, id }))
    return id
  }

  close(close: Close): void {
    this.websocket.close(close.code, close.reason)
  }

  /** Answers what was asked already, nothing that comes from now on, and closes; after `withinMs` in any case. */
  finish(close: Close, withinMs?: number): void {
    this.finishing = close
    if (this.pending === 0) this.close(close)
    else if (withinMs !== undefined) this.door.clock.after(withinMs, () => this.close(close))
  }

  ping(): void {
    if (this.isOpen) this.websocket.ping()
  }

  terminate(): void {
    this.websocket.terminate()
  }

  private heard(): void {
    this.lastHeardMs = this.door.clock.steadyMs()
  }

  private received(data: Buffer, binary: boolean): void {
    this.heard()
    if (!binary) return
    const frame = decodeFrame(data)
    if (frame === undefined) this.close(CLOSE.badlyFormatted)
    else if (frame.kind === 'response') this.answer(frame)
    else if (!this.finishing) void this.serve(frame)
  }

  private answer(frame: ResponseFrame): void {
    if (typeof frame.id === 'number') this.listener?.answered(frame.id, frame.status)
  }

  private async serve(frame: RequestFrame): Promise<void> {
    this.pending++
    this.throttle()
    const response = await this.door.router.handle({
      method: frame.verb,
      target: frame.path,
      headers: effectiveHeaders(this.headers, frame.headers),
      body: frame.body,
      channel: this.channel,
      asker: this,
    })
    this.pending--
    if (frame.id !== undefined && this.isOpen) this.send(encodeResponse(responseFrame(frame.id, response)))
    if (this.finishing) this.finish(this.finishing)
    this.throttle()
  }

  private send(frame: Buffer): void {
    if (!this.corked) {
      this.corked = true
      this.stream.cork()
      process.nextTick(() => this.uncork())
    }
    this.websocket.send(frame)
  }

  private uncork(): void {
    this.corked = false
    this.stream.uncork()
    if (this.congested) this.awaitDrain()
  }

  private awaitDrain(): void {
    if (this.waitingForDrain) return
    this.waitingForDrain = true
    this.stream.once('drain', () => {
      this.waitingForDrain = false
      this.throttle()
      this.listener?.drained()
    })
  }

  /** Stops reading a client that asks faster than it is answered, or does not take its answers. */
  private throttle(): void {
    const tooMuch = this.pending > MAX_PENDING || this.congested
    if (tooMuch && !this.websocket.isPaused) this.websocket.pause()
    else if (!tooMuch && this.websocket.isPaused) this.websocket.resume()
  }

  /** Tells when the client is gone, at once if it is, for whoever works on its request. */
  onGone(tell: () => void): { cancel(): void } {
    if (this.websocket.readyState === WebSocket.CLOSED) tell()
    this.whenGone ??= new Set()
    this.whenGone.add(tell)
    return { cancel: () => this.whenGone?.delete(tell) }
  }

  private ended(): void {
    this.door.forget(this)
    this.listener?.closed()
    for (const tell of this.whenGone ?? []) tell()
  }
}

function responseFrame(id: number | bigint, response: Response): Omit<ResponseFrame, 'kind'> {
  const headers: string[] = []
  for (const name in response.headers) headers.push(`${name}:${response.headers[name]}`)
  headers.push(`Content-Length:${response.body.length}`)
  return {
    id,
    status: response.status,
    message: REASON_PHRASES[response.status] ?? '',
    headers,
    body: response.body,
  }
}

/** A server's socket without a handshake: that part of `ws` is not typed for those who do their own. */
const serverSocket = (): WebSocket =>
  new WebSocket(null as never, undefined, {
    autoPong: true,
    maxPendingAutoPongs: 16,
    closeTimeout: 5_000,
  } as never)

export class WebSocketDoor {
  readonly router: Router
  readonly clock: Clock
  private readonly admitUpgrade: Admit
  private readonly refusesClient: RefusesClient
  private readonly connections = new Set<Connection>()
  private readonly sweeper: { cancel(): void }

  constructor(options: { router: Router; clock: Clock; admit: Admit; refusesClient?: RefusesClient }) {
    this.router = options.router
    this.clock = options.clock
    this.admitUpgrade = options.admit
    this.refusesClient = options.refusesClient
    this.sweeper = options.clock.every(SWEEP_MS, () => this.sweep())
  }

  get size(): number {
    return this.connections.size
  }

  async admit(upgrade: Upgrade): Promise<Admission | undefined> {
    return this.refusesClient?.(upgrade.headers['user-agent']) ? TOO_OLD : this.admitUpgrade(upgrade)
  }

  /** Takes over a stream whose upgrade was answered: an HTTP/1.1 socket after 101, an HTTP/2 stream after 200. */
  accept(
    stream: Duplex,
    head: Buffer,
    upgrade: Upgrade,
    admission: Extract<Admission, { admitted: true }>,
  ): void {
    const websocket = serverSocket()
    const { device, socket, opened } = admission
    const channel: Channel = {
      door: 'websocket',
      remoteAddress: upgrade.remoteAddress,
      device,
      ...(socket && { socket }),
    }
    const connection = new Connection(this, websocket, stream, upgrade.headers, channel)
    this.connections.add(connection)
    // `ws` gives this method to its own server; it is how a socket is made from a stream that is not an upgrade.
    const internal = websocket as unknown as {
      setSocket(stream: Duplex, head: Buffer, options: object): void
    }
    internal.setSocket(stream, head, SOCKET_OPTIONS)
    opened(connection)
  }

  forget(connection: Connection): void {
    this.connections.delete(connection)
  }

  /** Says goodbye to every client. */
  close(): void {
    this.sweeper.cancel()
    for (const connection of this.connections) connection.finish(CLOSE.shutdown)
  }

  private sweep(): void {
    const nowMs = this.clock.steadyMs()
    for (const connection of this.connections) {
      const silentMs = nowMs - connection.lastHeardMs
      if (silentMs >= IDLE_TIMEOUT_MS) connection.terminate()
      else if (silentMs >= IDLE_TIMEOUT_MS / 2) connection.ping()
    }
  }
}
