// One streaming call: requests by demand, replies with backpressure, and one end, whoever brings it about.
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { InitOf, MessageOf, Rpc } from '../../wire/service.ts'
import type { Clock, Timer } from './clock.ts'
import { Deframer } from './grpc-deframer.ts'
import { broken, frame } from './grpc-message.ts'
import type { Replies, StreamMethod } from './grpc-service.ts'
import { GrpcCode, GrpcFailure, type GrpcStatus, statusTrailers } from './grpc-status.ts'
import { Refusal } from './refusal.ts'

/** Bytes waiting to be taken by a client of a long-lived call before `congested`; elsewhere it is Node's own mark. */
export const MAX_BUFFERED_BYTES = 256 * 1024
/** How long a client may leave what waits for it. */
export const STALLED_MS = 90_000
/** How long a request that has begun may take to arrive, and the first one altogether. */
export const REQUEST_MS = 30_000
/** How long a client may say nothing, where the RPC is not for long. */
export const SILENT_MS = 60_000
/** How long the last words may take to be read. */
const LINGER_MS = 5_000

const WITH_TRAILERS = { waitForTrailers: true } as const
const WITHOUT_BODY = { endStream: true } as const

/** What waits on a call meets this when the call is over. It is no bug, and says nothing to anybody. */
export class CallOver extends Error {}

type Request = MessageOf<Rpc['request']>
type Reply = InitOf<Rpc['response']>
type Waiter = { readonly resolve: () => void; readonly reject: (error: Error) => void }

export type StreamingCallOptions = {
  readonly stream: ServerHttp2Stream
  readonly method: StreamMethod
  readonly clock: Clock
  /** `grpc-timeout`, if the client set one. */
  readonly deadlineMs: number | undefined
  head(): OutgoingHttpHeaders
  statusOf(error: unknown): GrpcStatus
}

export class StreamingCall implements Replies<Reply>, AsyncIterableIterator<Request> {
  readonly #options: StreamingCallOptions
  readonly #stream: ServerHttp2Stream
  readonly #deframer: Deframer
  readonly #ended = new AbortController()
  readonly #deadline: Timer | undefined
  #trailers: OutgoingHttpHeaders = {}
  #reader: Waiter | undefined
  #writers: Waiter[] = []
  #roomListener: (() => void) | undefined
  #hadRequest = false
  /** Told by `pass`, for time that does not jump. */
  #waitedMs = 0
  #stalledMs = 0

  constructor(options: StreamingCallOptions) {
    const { stream, method, clock, deadlineMs } = options
    this.#options = options
    this.#stream = stream
    this.#deframer = new Deframer(method.maxRequestBytes)
    stream.on('readable', this.#wakeReader).on('end', this.#wakeReader)
    stream.on('drain', () => this.#drained())
    // Without `aborted`, a client that goes away would look like one that has said everything.
    stream.on('aborted', () => this.#over()).on('close', () => this.#over())
    if (deadlineMs !== undefined)
      this.#deadline = clock.after(deadlineMs, () => this.end({ code: GrpcCode.deadlineExceeded }))
    if (stream.aborted || stream.destroyed) this.#over()
  }

  get over(): AbortSignal {
    return this.#ended.signal
  }

  get congested(): boolean {
    if (!this.#options.method.rpc.longLived) return this.#stream.writableNeedDrain
    return this.#stream.writableLength > MAX_BUFFERED_BYTES
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Request, undefined>> {
    for (;;) {
      this.#throwIfOver()
      const bytes = this.#deframer.take()
      if (bytes) return { value: this.#decoded(bytes), done: false }
      const piece = this.#stream.read() as Buffer | null
      if (piece) this.#deframer.add(piece)
      else if (this.#stream.readableEnded) return this.#requestsEnd()
      else await this.#moreToRead()
    }
  }

  /** The only request of a call that streams replies alone. */
  async only(): Promise<Request> {
    const first = await this.next()
    if (first.done) throw broken('no message')
    if (!(await this.next()).done) throw broken('more than one message')
    return first.value
  }

  async send(reply: Reply): Promise<void> {
    this.#throwIfOver()
    this.write(reply)
    if (this.congested) await new Promise<void>((resolve, reject) => this.#writers.push({ resolve, reject }))
  }

  write(reply: Reply): void {
    if (this.over.aborted) return
    const bytes = frame(this.#options.method.rpc.response, reply)
    if (!this.#stream.headersSent) this.#respond()
    this.#stream.write(bytes)
  }

  onRoom(listener: () => void): void {
    this.#roomListener = listener
  }

  fail(error: Error): void {
    if (!this.over.aborted) this.end(this.#options.statusOf(error))
  }

  /** Ends the call; what comes later counts for nothing. */
  end(status: GrpcStatus): void {
    if (this.over.aborted) return
    this.#over()
    const stream = this.#stream
    if (stream.closed || stream.destroyed) return
    this.#trailers = statusTrailers(status)
    stream.off('readable', this.#wakeReader).resume()
    if (stream.headersSent) stream.end()
    else {
      stream.respond({ ...this.#options.head(), ...this.#trailers }, WITHOUT_BODY)
      this.#stopRequests()
    }
    const linger = this.#options.clock.after(LINGER_MS, () => this.#reset())
    stream.on('close', () => linger.cancel())
  }

  /** Lets time pass: a client that is late, or does not take what waits for it, has its call ended. */
  pass(ms: number): void {
    this.#stalledMs = this.congested ? this.#stalledMs + ms : 0
    if (this.#stalledMs >= STALLED_MS) {
      this.#over()
      this.#reset()
    }
    if (!this.#reader) return
    this.#waitedMs += ms
    if (this.#waitedMs >= this.#patienceMs()) this.fail(new Refusal('timeout'))
  }

  #patienceMs(): number {
    if (!this.#hadRequest || this.#deframer.isAmid) return REQUEST_MS
    return this.#options.method.rpc.longLived ? Number.POSITIVE_INFINITY : SILENT_MS
  }

  #decoded(bytes: Buffer): Request {
    this.#hadRequest = true
    this.#waitedMs = 0
    try {
      return this.#options.method.rpc.request.decode(bytes)
    } catch {
      throw new Refusal('invalid', { message: 'not such a message' })
    }
  }

  #requestsEnd(): IteratorReturnResult<undefined> {
    this.#deframer.finish()
    return { value: undefined, done: true }
  }

  #moreToRead(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
  }

  readonly #wakeReader = (): void => {
    const reader = this.#reader
    this.#reader = undefined
    reader?.resolve()
  }

  #drained(): void {
    const writers = this.#writers
    this.#writers = []
    for (const writer of writers) writer.resolve()
    this.#roomListener?.()
  }

  #respond(): void {
    const stream = this.#stream
    stream.respond(this.#options.head(), WITH_TRAILERS)
    stream.on('wantTrailers', () => {
      stream.sendTrailers(this.#trailers)
      // Only then: a reset in the same turn would overtake the trailers.
      setImmediate(() => this.#stopRequests())
    })
  }

  /** RFC 9113 §8.1: who has answered in full may have the client stop sending. */
  #stopRequests(): void {
    const stream = this.#stream
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  }

  #reset(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #over(): void {
    if (this.over.aborted) return
    this.#deadline?.cancel()
    const reason = new CallOver('the call is over')
    this.#ended.abort(reason)
    const waiting = this.#reader ? [this.#reader, ...this.#writers] : this.#writers
    this.#reader = undefined
    this.#writers = []
    for (const waiter of waiting) waiter.reject(reason)
  }

  #throwIfOver(): void {
    this.over.throwIfAborted()
  }
}

const TIMEOUT = /^(\d{1,8})([HMSmun])$/
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
}

/** gRPC over HTTP/2, "Timeout". Throws if it is not of that form. */
export function parseTimeout(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const match = TIMEOUT.exec(header)
  if (!match) throw new GrpcFailure({ code: GrpcCode.internal, message: 'malformed grpc-timeout' })
  return Number(match[1]) * UNIT_MS[match[2]!]!
}
