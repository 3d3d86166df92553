// Cuts a stream of bytes into messages. However small the pieces, it holds no more than twice what came.
import { broken, checkPrefix, PREFIX_BYTES } from './grpc-message.ts'

const NOTHING = Buffer.alloc(0)

export class Deframer {
  readonly #maxBytes: number
  #held: Buffer = NOTHING
  #start = 0
  #end = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes of a message that is not whole yet. */
  get isAmid(): boolean {
    return this.#end > this.#start
  }

  /** Messages that were taken stay as they are: what was written once is never written over. */
  add(piece: Buffer): void {
    if (!this.isAmid) {
      this.#held = piece
      this.#start = 0
      this.#end = piece.length
      return
    }
    const size = this.#end - this.#start + piece.length
    if (this.#end + piece.length > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(2 * size)
      larger.set(this.#held.subarray(this.#start, this.#end))
      this.#held = larger
      this.#end -= this.#start
      this.#start = 0
    }
    this.#held.set(piece, this.#end)
    this.#end += piece.length
  }

  /** The next message, if it is all there. Throws as soon as it is known to be compressed or too long. */
  take(): Buffer | undefined {
    if (this.#end - this.#start < PREFIX_BYTES) return undefined
    const failure = checkPrefix(this.#held, this.#start, this.#maxBytes)
    if (failure) throw failure
    const from = this.#start + PREFIX_BYTES
    const to = from + this.#held.readUInt32BE(this.#start + 1)
    if (to > this.#end) return undefined
    this.#start = to
    return this.#held.subarray(from, to)
  }

  /** Throws if the bytes end within a message. */
  finish(): void {
    if (this.isAmid) throw broken('not one whole message')
  }
}
