// The client's end of a streaming gRPC call: it reads only what the test asks for.
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import type { AnyCodec, InitOf, MessageOf, Rpc } from '../../wire/service.ts'

const PREFIX_BYTES = 5

export function framed(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix[0] = flag
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

export class GrpcStream<Request extends AnyCodec, Response extends AnyCodec> {
  readonly stream: ClientHttp2Stream
  /** What the call ended with: its trailers, or the headers if it had nothing else; empty if it was reset. */
  readonly ended: Promise<IncomingHttpHeaders>
  readonly #rpc: Pick<Rpc<Request, Response>, 'request' | 'response'>
  #held: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined

  constructor(
    session: ClientHttp2Session,
    rpc: Pick<Rpc<Request, Response>, 'path' | 'request' | 'response'>,
    headers: Readonly<Record<string, string>>,
  ) {
    this.#rpc = rpc
    this.stream = session.request({
      ':method': 'POST',
      ':path': rpc.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    const { promise, resolve } = Promise.withResolvers<IncomingHttpHeaders>()
    this.ended = promise
    let last: IncomingHttpHeaders = {}
    this.stream.on('error', () => {})
    this.stream.on('response', (received) => {
      if (received['grpc-status'] !== undefined) last = received
    })
    this.stream.on('trailers', (received) => {
      last = received
    })
    this.stream.on('close', () => resolve(last))
    for (const event of ['readable', 'end', 'close'] as const) this.stream.on(event, () => this.#wake?.())
  }

  send(message: InitOf<Request>): void {
    this.stream.write(framed(this.#rpc.request.encode(message).finish()))
  }

  /** Says that no request comes any more. */
  finish(): void {
    this.stream.end()
  }

  cancel(): void {
    this.stream.close(8)
  }

  /** The next reply; nothing after the last. */
  async next(): Promise<MessageOf<Response> | undefined> {
    for (;;) {
      const message = this.#take()
      if (message) return this.#rpc.response.decode(message)
      const piece = this.stream.read() as Buffer | null
      if (piece) this.#held = Buffer.concat([this.#held, piece])
      else if (this.stream.readableEnded || this.stream.destroyed) return undefined
      else await this.#more()
    }
  }

  async all(): Promise<MessageOf<Response>[]> {
    const replies: MessageOf<Response>[] = []
    for (let reply = await this.next(); reply; reply = await this.next()) replies.push(reply)
    return replies
  }

  #take(): Buffer | undefined {
    if (this.#held.length < PREFIX_BYTES) return undefined
    const end = PREFIX_BYTES + this.#held.readUInt32BE(1)
    if (this.#held.length < end) return undefined
    const message = this.#held.subarray(PREFIX_BYTES, end)
    this.#held = this.#held.subarray(end)
    return message
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
