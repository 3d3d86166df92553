// A line to a server that can be cut, and that breaks when it is told to.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class FaultyLine implements AsyncDisposable {
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  #server: Server
  #port = 0
  #breaks: (() => number | undefined) | undefined
  #awaited: { left: number; readonly resolve: () => void } | undefined

  private constructor(target: number) {
    this.#target = target
    this.#server = this.#newServer()
  }

  static async open(target: number): Promise<FaultyLine> {
    const line = new FaultyLine(target)
    await line.mend()
    return line
  }

  get port(): number {
    return this.#port
  }

  /** Nobody gets through, and who was through is cut off. */
  async cut(): Promise<void> {
    const closed = once(this.#server.close(), 'close')
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** On the same port. */
  async mend(): Promise<void> {
    this.#server = this.#newServer()
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Asked for each connection: after how many bytes, of both directions together, it breaks; never if undefined. */
  breakBy(after: (() => number | undefined) | undefined): void {
    this.#breaks = after
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Resolves when so many bytes more have passed, of all connections and both directions together. */
  passed(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#awaited = { left: bytes, resolve }
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.cut()
  }

  #count(bytes: number): void {
    if (!this.#awaited) return
    this.#awaited.left -= bytes
    if (this.#awaited.left <= 0) this.#awaited.resolve()
  }

  #newServer(): Server {
    return createServer((near) => {
      const far = connect(this.#target, '127.0.0.1')
      let left = this.#breaks?.() ?? Number.POSITIVE_INFINITY
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => {})
        from.once('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
        from.on('data', (bytes: Buffer) => {
          left -= bytes.length
          this.#count(bytes.length)
          if (left < 0) from.destroy()
        })
        from.pipe(to)
      }
    })
  }
}
