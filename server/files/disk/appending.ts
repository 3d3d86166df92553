// One source on its way into one file: in order, in large pieces, and stopped at any moment without losing what came.
import { FileRefusal } from '../file-store.ts'
import type { Quota } from './quota.ts'

/**
 * Written at once; this and the doors' own buffers are what an upload costs in memory. Twice as much is no faster: the kernel takes larger pages for
 * it, which on a virtual machine are more often pages that nobody has used yet (docs/performance.md).
 */
const PIECE_BYTES = 128 * 1024

export type AppendingOptions = {
  /** Puts bytes at an offset of the file; gives how many it took, at least one. */
  readonly write: (bytes: Uint8Array, offset: number) => Promise<number>
  readonly offset: number
  readonly maxOffset: number
  readonly quota: Quota
}

export class Appending {
  readonly #options: AppendingOptions
  readonly #stop = Promise.withResolvers<never>()
  #offset: number
  /** The same one again and again: garbage of the length of the file would be as bad as the file. */
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
  #pieceBytes = 0
  #writing: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: AppendingOptions) {
    this.#options = options
    this.#offset = options.offset
    this.#stop.promise.catch(() => {})
  }

  /** Bytes in the file. */
  get offset(): number {
    return this.#offset
  }

  /** Rejects as the source does, or with why it was refused. What came before is in the file in any case. */
  async run(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      await Promise.race([this.#pump(source), this.#stop.promise])
    } finally {
      this.#stopped = true
      await this.#writing
      await this.#write()
    }
  }

  /** The source is not waited for any more. */
  stop(): void {
    this.#stopped = true
    this.#stop.reject(new FileRefusal('displaced'))
  }

  async #pump(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) {
      if (this.#stopped) return
      if (this.#offset + this.#pieceBytes + chunk.length > this.#options.maxOffset)
        throw new FileRefusal('too-long')
      for (let from = 0; from < chunk.length && !this.#stopped; ) from += await this.#take(chunk, from)
    }
  }

  /** How much of the chunk there was room for. */
  async #take(chunk: Uint8Array, from: number): Promise<number> {
    const taken = Math.min(chunk.length - from, PIECE_BYTES - this.#pieceBytes)
    this.#piece.set(chunk.subarray(from, from + taken), this.#pieceBytes)
    this.#pieceBytes += taken
    if (this.#pieceBytes < PIECE_BYTES) return taken
    this.#writing = this.#write()
    await this.#writing
    return taken
  }

  async #write(): Promise<void> {
    const { write, quota } = this.#options
    const bytes = this.#pieceBytes
    this.#pieceBytes = 0
    quota.mustFit(bytes)
    for (let at = 0; at < bytes; ) {
      const bytesWritten = await write(this.#piece.subarray(at, bytes), this.#offset)
      quota.take(bytesWritten)
      this.#offset += bytesWritten
      at += bytesWritten
    }
  }
}
