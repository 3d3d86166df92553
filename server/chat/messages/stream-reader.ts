// A gRPC stream as the reader of a queue: messages are acknowledged by their guid (signal-api §1.4.5).
import type { Replies } from '../../kit/grpc-service.ts'
import { type Envelope, openEnvelope } from './envelope.ts'
import type { Farewell, Reader, ReaderListener } from './reader.ts'

type Reply = { readonly envelope: Envelope } | { readonly queueEmpty: Readonly<Record<string, never>> }

export class StreamReader implements Reader {
  readonly #replies: Replies<Reply>
  readonly #failureOf: (why: Farewell) => Error
  /** What was handed over and not acknowledged, by guid. */
  readonly #ids = new Map<string, number>()
  #lastId = 0
  #listener: ReaderListener | undefined

  constructor(replies: Replies<Reply>, failureOf: (why: Farewell) => Error) {
    this.#replies = replies
    this.#failureOf = failureOf
  }

  get isReady(): boolean {
    return !this.#replies.over.aborted && !this.#replies.congested
  }

  listen(listener: ReaderListener): void {
    this.#listener = listener
    this.#replies.onRoom(() => listener.drained())
    this.#replies.over.addEventListener('abort', () => listener.closed(), { once: true })
    if (this.#replies.over.aborted) listener.closed()
  }

  deliver(bytes: Uint8Array): number {
    const envelope = openEnvelope(bytes)
    const id = ++this.#lastId
    this.#ids.set(keyOf(envelope.serverGuid), id)
    this.#replies.write({ envelope })
    return id
  }

  endBacklog(): void {
    this.#replies.write({ queueEmpty: {} })
  }

  dismiss(why: Farewell): void {
    this.#replies.fail(this.#failureOf(why))
  }

  /** The client says that it has stored a message. Saying it twice does no harm. */
  acknowledge(guid: Uint8Array): void {
    const key = keyOf(guid)
    const id = this.#ids.get(key)
    if (id === undefined) return
    this.#ids.delete(key)
    this.#listener?.answered(id, true)
  }
}

const keyOf = (guid: Uint8Array) => Buffer.from(guid.buffer, guid.byteOffset, guid.length).toString('latin1')
