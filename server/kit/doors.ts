// One TLS port for everything: HTTP/1.1 and HTTP/2, websockets on both, gRPC on HTTP/2, one router behind them.
import { createHash } from 'node:crypto'
import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  constants,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex, Readable, Writable } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { MAX_BODY_BYTES } from '../../wire/limits.ts'
import type { Asker } from '../../wire/route.ts'
import { callerAddress, isLoopback, limiterAddress } from './address.ts'
import type { Clock } from './clock.ts'
import type { GrpcDoor } from './grpc.ts'
import { lingering } from './lingering.ts'
import { REASON_PHRASES } from './reason-phrases.ts'
import type { Headers, Response, Router } from './router.ts'
import { incoming, outgoing, type StreamHandler, type StreamReply } from './streaming.ts'
import type { Admission, Upgrade, WebSocketDoor } from './websocket.ts'

export type DoorsOptions = {
  readonly tls: { readonly key: string; readonly cert: string }
  readonly router: Router
  /** Asked before the router. */
  readonly streams?: StreamHandler
  readonly websockets: WebSocketDoor
  readonly grpc: GrpcDoor
  readonly clock: Clock
  /** Connections from one address (IPv6: one /64); loopback, where proxies are, is not counted. */
  readonly maxConnectionsPerAddress: number
  /** Counts connections from loopback too. */
  readonly countLoopback?: boolean
  readonly timeouts?: Partial<Timeouts>
}

/** How long a client may take, in milliseconds, before it is cut off. */
export type Timeouts = {
  readonly handshakeMs: number
  readonly headersMs: number
  /** For a whole request, its body included. A body that is streamed has so long for each of its pieces. */
  readonly requestMs: number
  /** Nothing at all on an HTTP/2 connection. */
  readonly idleMs: number
}

export type Doors = {
  readonly port: number
  /** Stops accepting, says goodbye to sockets, waits for requests in progress, at most `graceMs`. */
  close(graceMs: number): Promise<void>
}

const SETTLE_POLL_MS = 20
const MAX_HEADER_BYTES = 16 * 1024
const TIMEOUTS: Timeouts = { handshakeMs: 10_000, headersMs: 10_000, requestMs: 30_000, idleMs: 120_000 }
/** How often Node looks for HTTP/1.1 clients that are late. */
const LATE_CHECK_MS = 2_000
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const HTTP2_OPTIONS = {
  settings: {
    enableConnectProtocol: true,
    enablePush: false,
    maxConcurrentStreams: 128,
    initialWindowSize: 256 * 1024,
    maxHeaderListSize: MAX_HEADER_BYTES,
  },
  maxSessionMemory: 16,
  maxSessionInvalidFrames: 32,
  maxSessionRejectedStreams: 64,
  maxSettings: 16,
  maxOutstandingPings: 10,
  maxHeaderListPairs: 128,
  streamResetBurst: 200,
  streamResetRate: 50,
}

type Body = { readonly bytes: Buffer } | { readonly status: number }

/**
 * Gathers a body; if it is refused, comes too late, or the client goes away, a status instead. `refuses` is asked, with
 * the bytes so far, when it is longer than most may be.
 */
function gather(
  source: Duplex | IncomingMessage,
  clock: Clock,
  withinMs: number,
  refuses: (bytes: number) => number | undefined,
): Promise<Body> {
  return new Promise((resolve) => {
    const timer = clock.after(withinMs, () => resolve({ status: 408 }))
    const settle = (body: Body) => {
      timer.cancel()
      resolve(body)
    }
    const chunks: Buffer[] = []
    let size = 0
    source.on('data', (chunk: Buffer) => {
      size += chunk.length
      const status = size > MAX_BODY_BYTES ? refuses(size) : undefined
      if (status === undefined) chunks.push(chunk)
      else settle({ status })
    })
    source.on('end', () => settle({ bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) }))
    source.on('error', () => settle({ status: 400 }))
    source.on('close', () => settle({ status: 400 }))
  })
}

const isGrpc = (headers: IncomingHttpHeaders) =>
  headers['content-type']?.startsWith('application/grpc') === true

class OpenDoors implements Doors {
  private readonly options: DoorsOptions
  private readonly timeouts: Timeouts
  private readonly perAddress = new Map<string, number>()
  private readonly sessions = new Set<ServerHttp2Session>()
  private readonly sockets = new Set<TLSSocket>()
  private inProgress = 0
  private readonly tls
  private readonly http1
  private readonly http2

  constructor(options: DoorsOptions) {
    this.options = options
    this.timeouts = { ...TIMEOUTS, ...options.timeouts }
    this.http1 = this.makeHttp1()
    this.http2 = this.makeHttp2()
    this.tls = createTlsServer(
      {
        ...options.tls,
        ALPNProtocols: ['h2', 'http/1.1'],
        minVersion: 'TLSv1.2',
        handshakeTimeout: this.timeouts.handshakeMs,
      },
      (socket) => this.connected(socket),
    )
    this.tls.on('connection', (socket: Socket) => this.admitConnection(socket))
    this.tls.on('tlsClientError', (_error, socket) => socket.destroy())
  }

  get port(): number {
    return (this.tls.address() as AddressInfo).port
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tls.once('error', reject)
      this.tls.listen({ host, port, backlog: 1024 }, () => {
        this.tls.off('error', reject)
        // This is what starts Node's enforcement of the header and request timeouts.
        this.http1.emit('listening')
        resolve()
      })
    })
  }

  async close(graceMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.tls.close(() => resolve())
    this.options.websockets.close()
    this.options.grpc.close()
    for (const session of this.sessions) session.close()
    await this.settled(graceMs)
    for (const session of this.sessions) session.destroy()
    for (const socket of this.sockets) socket.destroy()
    this.http1.closeAllConnections()
    this.http1.close()
    await promise
  }

  /** Resolves when nothing is in progress any more, at the latest after `graceMs`. */
  private settled(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel()
        poll.cancel()
        resolve()
      }
      const timer = this.options.clock.after(graceMs, end)
      const poll = this.options.clock.every(SETTLE_POLL_MS, () => this.isIdle && end())
      if (this.isIdle) end()
    })
  }

  private get isIdle(): boolean {
    return this.inProgress === 0 && this.options.websockets.size === 0 && this.sessions.size === 0
  }

  private makeHttp1() {
    const server = createHttp1Server({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: this.timeouts.headersMs,
      // A streamed body may take long as a whole; `gather` watches the others.
      requestTimeout: 0,
      keepAliveTimeout: 75_000,
      connectionsCheckingInterval: Math.min(LATE_CHECK_MS, this.timeouts.headersMs),
    })
    server.maxHeadersCount = 128
    server.on('request', (request, response) => void this.serveHttp1(request, response))
    server.on('upgrade', (request, socket, head) => void this.upgradeHttp1(request, socket, head))
    server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
      this.refuseHttp1(socket, clientErrorStatus(error)),
    )
    return server
  }

  private makeHttp2() {
    const server = createHttp2Server(HTTP2_OPTIONS)
    server.on('session', (session) => {
      this.sessions.add(session)
      session.on('close', () => this.sessions.delete(session))
      session.on('error', () => {})
      session.setTimeout(this.timeouts.idleMs)
      // A stream of calls may be silent for long; the gRPC door asks by itself whether such a connection is alive.
      session.on('timeout', () => {
        if (this.options.grpc.isOn(session)) session.setTimeout(this.timeouts.idleMs)
        else session.close()
      })
    })
    server.on('stream', (stream, headers) => this.serveHttp2(stream, headers))
    server.on('sessionError', () => {})
    return server
  }

  private admitConnection(socket: Socket): void {
    const address = limiterAddress(socket.remoteAddress ?? '')
    if (isLoopback(address) && !this.options.countLoopback) return
    const count = (this.perAddress.get(address) ?? 0) + 1
    if (count > this.options.maxConnectionsPerAddress) {
      socket.destroy()
      return
    }
    this.perAddress.set(address, count)
    socket.once('close', () => this.releaseConnection(address))
  }

  private releaseConnection(address: string): void {
    const count = (this.perAddress.get(address) ?? 1) - 1
    if (count === 0) this.perAddress.delete(address)
    else this.perAddress.set(address, count)
  }

  private connected(socket: TLSSocket): void {
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
    socket.on('error', () => {})
    const server = socket.alpnProtocol === 'h2' ? this.http2 : this.http1
    server.emit('connection', socket)
  }

  private async serveHttp1(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '/' } = request
    const headers = single(request.headers)
    const streamed = this.streamed(request, method, url, headers)
    if (streamed) return this.streamHttp1(request, response, streamed)
    const answer = await this.answer(request, method, url, headers, callerAddress(request), askerOf(response))
    if (response.destroyed) return
    const isLast = answer.status === 413 || !request.complete
    response.writeHead(answer.status, REASON_PHRASES[answer.status] ?? '', {
      ...answer.headers,
      ...(answer.status === 204 || answer.status === 304
        ? {}
        : { 'Content-Length': String(answer.body.length) }),
      ...(isLast ? { Connection: 'close' } : {}),
    })
    if (isLast) await this.toldFirst(request, response, answer.body)
    response.end(isLast ? undefined : answer.body)
  }

  /** The answer leaves, with its length, and the connection stays until the client can have read it. */
  private async toldFirst(request: IncomingMessage, response: ServerResponse, body: Uint8Array) {
    response.flushHeaders()
    if (body.length > 0) response.write(body)
    await lingering(request, this.options.clock)
  }

  /** The answer of the handler of streams, if the request is for it. */
  private streamed(
    source: Readable,
    method: string,
    target: string,
    headers: Headers,
  ): Promise<StreamReply> | undefined {
    const { streams, clock } = this.options
    if (!streams) return undefined
    const body = incoming(source, clock, this.timeouts.requestMs)
    return streams({ method, target, headers, body })
  }

  private async streamHttp1(
    request: IncomingMessage,
    response: ServerResponse,
    streamed: Promise<StreamReply>,
  ): Promise<void> {
    this.inProgress++
    let isLast = false
    try {
      const { status, headers, body } = await streamed
      if (response.destroyed) return void body?.destroy()
      isLast = leavesMuchUnread(request) && !body
      response.writeHead(status, REASON_PHRASES[status] ?? '', {
        ...this.timestamp(),
        ...headers,
        ...(leavesMuchUnread(request) ? { Connection: 'close' } : {}),
      })
      if (!isLast) await this.send(body, response)
    } finally {
      this.inProgress--
    }
    if (!isLast) return
    await this.toldFirst(request, response, Buffer.alloc(0))
    response.end()
  }

  private async streamHttp2(stream: ServerHttp2Stream, streamed: Promise<StreamReply>): Promise<void> {
    this.inProgress++
    try {
      const { status, headers, body } = await streamed
      if (stream.destroyed || stream.closed) return void body?.destroy()
      stream.respond({ ':status': status, ...lowerCase({ ...this.timestamp(), ...headers }) })
      await this.send(body, stream)
      if (!stream.readableEnded && !stream.endAfterHeaders) leave(stream)
    } finally {
      this.inProgress--
    }
  }

  /** Resolves too if the client does not take all of it: the connection tells it so. */
  private async send(body: Readable | undefined, sink: Writable): Promise<void> {
    if (!body) return void sink.end()
    await outgoing(body, sink, this.options.clock, this.timeouts.requestMs).catch(() => sink.destroy())
  }

  private serveHttp2(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {})
    if (headers[':method'] === 'CONNECT') void this.connectHttp2(stream, headers)
    else if (isGrpc(headers)) this.options.grpc.serve(stream, headers, callerOf(stream, headers))
    else void this.requestHttp2(stream, headers)
  }

  private async requestHttp2(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const target = String(headers[':path'] ?? '/')
    const method = String(headers[':method'])
    const fields = single(headers)
    const streamed = this.streamed(stream, method, target, fields)
    if (streamed) return this.streamHttp2(stream, streamed)
    const answer = await this.answer(
      stream,
      method,
      target,
      fields,
      callerOf(stream, headers),
      askerOf(stream),
    )
    if (stream.destroyed || stream.closed) return
    const lower: Record<string, string | number> = { ':status': answer.status }
    for (const name in answer.headers) lower[name.toLowerCase()] = answer.headers[name]!
    stream.respond(lower)
    stream.end(answer.body)
    if (!stream.readableEnded) leave(stream)
  }

  private async answer(
    source: Duplex | IncomingMessage,
    method: string,
    target: string,
    headers: Headers,
    remoteAddress: string,
    asker: Asker,
  ): Promise<Response> {
    this.inProgress++
    try {
      const { clock, router } = this.options
      const request = { method, target, headers, asker }
      const body = await gather(source, clock, this.timeouts.requestMs, (bytes) =>
        router.refusesBody(request, bytes),
      )
      if ('status' in body) return { status: body.status, headers: this.timestamp(), body: Buffer.alloc(0) }
      const channel = { door: 'rest', remoteAddress } as const
      return await router.handle({ ...request, body: body.bytes, channel })
    } finally {
      this.inProgress--
    }
  }

  private async upgradeHttp1(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => {})
    const headers = single(request.headers)
    const key = headers['sec-websocket-key']
    const proper =
      request.method === 'GET' &&
      headers['upgrade']?.toLowerCase() === 'websocket' &&
      headers['sec-websocket-version'] === '13' &&
      key !== undefined &&
      /^[+/0-9A-Za-z]{22}==$/.test(key)
    if (!proper) return this.refuseHttp1(socket, 400)
    const upgrade = { path: request.url ?? '/', headers, remoteAddress: callerAddress(request) }
    const admission = await this.admit(upgrade)
    if (socket.destroyed) return
    if (!admission.admitted) return this.refuseHttp1(socket, admission.status, admission.headers)
    socket.write(
      head1(101, {
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Accept': createHash('sha1')
          .update(key + WEBSOCKET_GUID)
          .digest('base64'),
        ...this.timestamp(),
        ...admission.headers,
      }),
    )
    this.options.websockets.accept(socket, head, upgrade, admission)
  }

  private async connectHttp2(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const refuse = (status: number, extra: Readonly<Record<string, string>> = {}) =>
      stream.respond(
        { ':status': status, ...lowerCase({ ...this.timestamp(), ...extra }) },
        { endStream: true },
      )
    if (headers[':protocol'] !== 'websocket' || headers['sec-websocket-version'] !== '13') return refuse(400)
    const upgrade = {
      path: String(headers[':path']),
      headers: single(headers),
      remoteAddress: callerOf(stream, headers),
    }
    const admission = await this.admit(upgrade)
    if (stream.destroyed || stream.closed) return
    if (!admission.admitted) return refuse(admission.status, admission.headers)
    stream.respond({ ':status': 200, ...lowerCase({ ...this.timestamp(), ...admission.headers }) })
    this.options.websockets.accept(stream, Buffer.alloc(0), upgrade, admission)
  }

  private async admit(upgrade: Upgrade): Promise<Admission> {
    return (await this.options.websockets.admit(upgrade)) ?? { admitted: false, status: 404, headers: {} }
  }

  private refuseHttp1(socket: Duplex, status: number, extra: Readonly<Record<string, string>> = {}): void {
    if (socket.destroyed || !socket.writable) return
    socket.end(head1(status, { Connection: 'close', 'Content-Length': '0', ...this.timestamp(), ...extra }))
  }

  private timestamp(): Record<string, string> {
    return { 'X-Signal-Timestamp': String(this.options.clock.nowMs()) }
  }
}

/**
 * RFC 9113 §8.1: an answer before the request's end asks the client to stop sending. Node would keep a stream that has
 * bytes which nobody reads, and those bytes, for as long as its connection lasts.
 */
function leave(stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_NO_ERROR)
  if (stream.writableFinished) stream.destroy()
  else stream.once('finish', () => stream.destroy())
}

/** Node reads what is left of a short body, and then goes on with the connection. */
const MAX_UNREAD_BYTES = 256 * 1024
const leavesMuchUnread = ({ readableEnded, headers }: IncomingMessage): boolean =>
  !readableEnded &&
  (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > MAX_UNREAD_BYTES)

function head1(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `HTTP/1.1 ${status} ${REASON_PHRASES[status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n`
}

const lowerCase = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

function single(headers: IncomingHttpHeaders): Headers {
  const first: Record<string, string | undefined> = {}
  for (const name in headers) {
    const value = headers[name]
    first[name] = Array.isArray(value) ? value[0] : value
  }
  return first
}

function clientErrorStatus(error: NodeJS.ErrnoException): number {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 431
  return error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}

/** `close` comes after the answer too: then nobody listens any more. */
const askerOf = (answer: Writable): Asker => ({
  onGone(tell) {
    if (answer.destroyed) tell()
    answer.once('close', tell)
    return { cancel: () => answer.off('close', tell) }
  },
})

const callerOf = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
  callerAddress({ socket: stream.session?.socket, headers })

/** Opens the port. Rejects with the system's error if it cannot be had. */
export async function openDoors(options: DoorsOptions & { host: string; port: number }): Promise<Doors> {
  const doors = new OpenDoors(options)
  await doors.listen(options.host, options.port)
  return doors
}
