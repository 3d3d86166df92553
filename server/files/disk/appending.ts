// One source on its way into one file: in order, in large pieces, and stopped at any moment without losing what came.
import type { FileHandle } from 'node:fs/promises'
import { FileRefusal } from '../file-store.ts'
import type { Quota } from './quota.ts'

/** Written at once; this and the doors' own buffers are what an upload costs in memory. */
const PIECE_BYTES = 256 * 1024

export type AppendingOptions = {
  readonly handle: FileHandle
  readonly offset: number
  readonly maxOffset: number
  readonly quota: Quota
}

export class Appending {
  readonly #options: AppendingOptions
  readonly #stop = Promise.withResolvers<never>()
  #offset: number
  #piece: Uint8Array[] = []
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
      this.#piece.push(chunk)
      this.#pieceBytes += chunk.length
      if (this.#pieceBytes < PIECE_BYTES) continue
      this.#writing = this.#write()
      await this.#writing
    }
  }

  async #write(): Promise<void> {
    const { handle, quota } = this.#options
    let bytes = Buffer.concat(this.#piece)
    this.#piece = []
    this.#pieceBytes = 0
    quota.mustFit(bytes.length)
    while (bytes.length > 0) {
      const { bytesWritten } = await handle.write(bytes, 0, bytes.length, this.#offset)
      quota.take(bytesWritten)
      this.#offset += bytesWritten
      bytes = bytes.subarray(bytesWritten)
    }
  }
}
