// The server's end of a socket whose client is the test itself: what is asked of it stands here until it answers.

import type { Connection, SocketListener } from '../server/kit/websocket.ts'
import { Envelope } from '../wire/gen/envelope.js'
import type { Close } from '../wire/websocket.ts'

export type Asked = {
  readonly id: number
  readonly path: string
  readonly headers: readonly string[]
  readonly envelope: Envelope
  readonly body: Uint8Array
}

const MESSAGE = '/api/v1/message'
const EMPTY = '/api/v1/queue/empty'
const NO_ENVELOPE = Envelope.decode(new Uint8Array(0))

export class FakeConnection {
  isOpen = true
  congested = false
  /** How the server closed it. */
  closeCode: number | undefined
  closeReason: string | undefined
  lastHeardMs = 0
  /** Everything that was asked, in order. */
  readonly asked: Asked[] = []
  saidToNobody = 0
  #lastId = 0
  #listener: SocketListener | undefined

  /** As what the rules take it for. */
  get connection(): Connection {
    return this as unknown as Connection
  }

  get messages(): Asked[] {
    return this.asked.filter(({ path }) => path === MESSAGE)
  }

  /** The client's own timestamps of the messages, which tell tests one from another. */
  get timestamps(): number[] {
    return this.messages.map(({ envelope }) => envelope.clientTimestamp)
  }

  get emptySaid(): number {
    return this.asked.filter(({ path }) => path === EMPTY).length
  }

  listen(listener: SocketListener): void {
    this.#listener = listener
  }

  request(_verb: string, path: string, headers: readonly string[], body: Uint8Array): number {
    const id = ++this.#lastId
    const envelope = path === MESSAGE ? Envelope.decode(body) : NO_ENVELOPE
    // As `ws` does: what is said to somebody who is gone is dropped.
    if (this.isOpen) this.asked.push({ id, path, headers, envelope, body })
    else this.saidToNobody++
    return id
  }

  /** As `ws` does it: closed at once for us, and told a moment later. */
  close({ code, reason }: Close): void {
    if (!this.isOpen) return
    this.closeCode = code
    this.closeReason = reason
    this.isOpen = false
    queueMicrotask(() => this.#listener?.closed())
  }

  /** Nothing of the client's is under way here. */
  finish(close: Close): void {
    this.close(close)
  }

  /** The server gives up on the client. */
  terminate(): void {
    this.end()
  }

  answer({ id }: Pick<Asked, 'id'>, status = 200): void {
    this.#listener?.answered(id, status)
  }

  drain(): void {
    this.congested = false
    this.#listener?.drained()
  }

  /** The client goes away. */
  end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#listener?.closed()
  }
}
