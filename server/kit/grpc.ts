// The gRPC door, straight over HTTP/2 streams: unary calls by the shortest way, streaming calls beside them.
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { DeviceAddress } from '../../wire/types.ts'
import type { Clock } from './clock.ts'
import { CallOver, parseTimeout, StreamingCall } from './grpc-call.ts'
import { StreamingCalls } from './grpc-calls.ts'
import { frame, readMessage } from './grpc-message.ts'
import type { AnonymousCall, DeviceCall, GrpcMethod, StreamMethod, UnaryMethod } from './grpc-service.ts'
import { GrpcCode, GrpcFailure, type GrpcStatus, statusOfRefusal, statusTrailers } from './grpc-status.ts'
import { Refusal } from './refusal.ts'
import type { RefusesClient } from './router.ts'

export type GrpcDoorOptions = {
  readonly methods: Iterable<GrpcMethod>
  /**
   * The device that an `authorization` header proves, or nothing. `connection` is the same object for every call of
   * one connection, for whoever wants to remember what was proven on it.
   */
  authenticate(
    authorization: string,
    connection: object,
  ): Promise<DeviceAddress | undefined> | DeviceAddress | undefined
  /** Told once of every error that is no refusal; the caller learns nothing of it. */
  onBug(error: unknown, path: string): void
  readonly clock: Clock
  readonly refusesClient?: RefusesClient
}

const OK: OutgoingHttpHeaders = { 'grpc-status': '0' }
const WITH_TRAILERS = { waitForTrailers: true } as const
const WITHOUT_BODY = { endStream: true } as const

/** `application/grpc`, with or without `+proto`; never grpc-web, never JSON. */
const CONTENT_TYPE = /^application\/grpc(\+proto)?\s*(;|$)/

const ignore = () => {}

/** gRPC over HTTP/2, "Requests": POST, and a content type that we know; else a plain HTTP status. */
function refusedByHttp(headers: IncomingHttpHeaders): number | undefined {
  const contentType = headers['content-type']
  if (contentType !== 'application/grpc' && !CONTENT_TYPE.test(contentType ?? '')) return 415
  return headers[':method'] === 'POST' ? undefined : 405
}

function decoded(method: UnaryMethod, bytes: Uint8Array): unknown {
  try {
    return method.rpc.request.decode(bytes)
  } catch {
    throw new Refusal('invalid', { message: 'not such a message' })
  }
}

export class GrpcDoor {
  readonly #methods: ReadonlyMap<string, GrpcMethod>
  readonly #options: GrpcDoorOptions
  readonly #calls: StreamingCalls

  constructor(options: GrpcDoorOptions) {
    this.#options = options
    this.#calls = new StreamingCalls(options.clock)
    this.#methods = new Map(Array.from(options.methods, (method) => [method.rpc.path, method]))
  }

  /** Answers one call. Never throws: what goes wrong becomes a status, or nothing if the client is gone. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, remoteAddress: string): void {
    stream.on('error', ignore)
    const method = this.#methods.get(headers[':path'] ?? '')
    const httpStatus = refusedByHttp(headers)
    if (httpStatus !== undefined) this.#end(stream, { ...this.#head(), ':status': httpStatus })
    else if (!method) this.#fail(stream, { code: GrpcCode.unimplemented, message: 'no such method' })
    else if (method.kind === false) void this.#answer(stream, method, headers, remoteAddress)
    else void this.#converse(stream, method, headers, remoteAddress)
  }

  /** Streaming calls in progress. */
  get size(): number {
    return this.#calls.size
  }

  /** Whether a connection carries streaming calls. */
  isOn(session: ServerHttp2Session): boolean {
    return this.#calls.isOn(session)
  }

  /** Ends the streaming calls, and those that still come: the server stops. */
  close(): void {
    this.#calls.close()
  }

  async #answer(
    stream: ServerHttp2Stream,
    method: UnaryMethod,
    headers: IncomingHttpHeaders,
    remoteAddress: string,
  ): Promise<void> {
    try {
      const admitted = this.#admit(method, headers, remoteAddress, stream.session ?? stream)
      const call = admitted instanceof Promise ? await admitted : admitted
      const bytes = await readMessage(stream, method.maxRequestBytes, this.#options.clock)
      const reply = await method.handle(decoded(method, bytes), call)
      this.#succeed(stream, frame(method.rpc.response, reply))
    } catch (error) {
      this.#fail(stream, this.#statusOf(error, method))
    }
  }

  async #converse(
    stream: ServerHttp2Stream,
    method: StreamMethod,
    headers: IncomingHttpHeaders,
    remoteAddress: string,
  ): Promise<void> {
    try {
      const deadlineMs = parseTimeout(headers['grpc-timeout'] as string | undefined)
      const caller = await this.#admit(method, headers, remoteAddress, stream.session ?? stream)
      if (stream.closed || stream.destroyed) return
      await this.#run(this.#open(stream, method, deadlineMs), method, caller)
    } catch (error) {
      this.#fail(stream, this.#statusOf(error, method))
    }
  }

  #open(stream: ServerHttp2Stream, method: StreamMethod, deadlineMs: number | undefined): StreamingCall {
    const call = new StreamingCall({
      stream,
      method,
      clock: this.#options.clock,
      deadlineMs,
      head: () => this.#head(),
      statusOf: (error) => this.#statusOf(error, method),
    })
    this.#calls.add(call, stream.session)
    return call
  }

  async #run(call: StreamingCall, method: StreamMethod, caller: AnonymousCall): Promise<void> {
    try {
      if (method.kind === 'both') await method.handle(call, call, caller)
      else await method.handle(await call.only(), call, caller)
      call.end({ code: GrpcCode.ok })
    } catch (error) {
      if (!(error instanceof CallOver)) call.end(this.#statusOf(error, method))
    }
  }

  /** Who calls, if that caller may; throws `Refusal` if not. */
  #admit(
    method: GrpcMethod,
    headers: IncomingHttpHeaders,
    remoteAddress: string,
    connection: object,
  ): Promise<DeviceCall> | DeviceCall | AnonymousCall {
    const { authorization, 'user-agent': userAgent, 'accept-language': acceptLanguage } = headers
    if (this.#options.refusesClient?.(userAgent)) throw new Refusal('upgrade-required')
    if (method.auth === 'anonymous') {
      if (authorization === undefined) return { remoteAddress, userAgent, acceptLanguage }
      throw new Refusal('credentials-forbidden', { message: 'authorization is forbidden here' })
    }
    const callOf = (device: DeviceAddress | undefined): DeviceCall => {
      if (!device) throw new Refusal('invalid-credentials')
      return { device, remoteAddress, userAgent, acceptLanguage }
    }
    const device =
      authorization === undefined ? undefined : this.#options.authenticate(authorization, connection)
    return device instanceof Promise ? device.then(callOf) : callOf(device)
  }

  #statusOf(error: unknown, method: GrpcMethod): GrpcStatus {
    if (error instanceof Refusal) return statusOfRefusal(error)
    if (error instanceof GrpcFailure) return error.status
    this.#options.onBug(error, method.rpc.path)
    return { code: GrpcCode.unknown }
  }

  #succeed(stream: ServerHttp2Stream, reply: Uint8Array): void {
    if (stream.closed || stream.destroyed) return
    stream.respond(this.#head(), WITH_TRAILERS)
    stream.on('wantTrailers', () => stream.sendTrailers(OK))
    stream.end(reply)
  }

  #fail(stream: ServerHttp2Stream, status: GrpcStatus): void {
    this.#end(stream, { ...this.#head(), ...statusTrailers(status) })
  }

  /** Answers with headers alone, and has the client stop sending if it still does. */
  #end(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
    if (stream.closed || stream.destroyed) return
    stream.respond(headers, WITHOUT_BODY)
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  }

  #head(): OutgoingHttpHeaders {
    return {
      ':status': 200,
      'content-type': 'application/grpc',
      'x-signal-timestamp': String(this.#options.clock.nowMs()),
    }
  }
}
