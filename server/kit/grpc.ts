// The unary gRPC door, straight over HTTP/2 streams.
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { DeviceAddress } from '../../wire/types.ts'
import type { Clock } from './clock.ts'
import { frame, ProtocolFailure, readMessage } from './grpc-message.ts'
import type { AnonymousCall, DeviceCall, GrpcMethod } from './grpc-service.ts'
import { GrpcCode, type GrpcStatus, statusOfRefusal, statusTrailers } from './grpc-status.ts'
import { Refusal } from './refusal.ts'

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

function decoded(method: GrpcMethod, bytes: Uint8Array): unknown {
  try {
    return method.rpc.request.decode(bytes)
  } catch {
    throw new Refusal('invalid', { message: 'not such a message' })
  }
}

export class GrpcDoor {
  readonly #methods: ReadonlyMap<string, GrpcMethod>
  readonly #options: GrpcDoorOptions

  constructor(options: GrpcDoorOptions) {
    this.#options = options
    this.#methods = new Map(Array.from(options.methods, (method) => [method.rpc.path, method]))
  }

  /** Answers one call. Never throws: what goes wrong becomes a status, or nothing if the client is gone. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, remoteAddress: string): void {
    stream.on('error', ignore)
    const method = this.#methods.get(headers[':path'] ?? '')
    const httpStatus = refusedByHttp(headers)
    if (httpStatus !== undefined) this.#end(stream, { ...this.#head(), ':status': httpStatus })
    else if (method) void this.#answer(stream, method, headers, remoteAddress)
    else this.#fail(stream, { code: GrpcCode.unimplemented, message: 'no such method' })
  }

  async #answer(
    stream: ServerHttp2Stream,
    method: GrpcMethod,
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

  /** Who calls, if that caller may; throws `Refusal` if not. */
  #admit(
    method: GrpcMethod,
    headers: IncomingHttpHeaders,
    remoteAddress: string,
    connection: object,
  ): Promise<DeviceCall> | DeviceCall | AnonymousCall {
    const { authorization, 'user-agent': userAgent, 'accept-language': acceptLanguage } = headers
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
    if (error instanceof ProtocolFailure) return error.status
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
