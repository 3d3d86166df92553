// Bytes that are always the same for one challenge, so that its picture and its sound are: many of one would show what is noise.
import { createCipheriv, hkdfSync } from 'node:crypto'

export class RandomStream {
  readonly #bytes: Buffer
  #at = 0

  constructor(secret: Uint8Array, id: string, size = 64 * 1024) {
    const key = Buffer.from(hkdfSync('sha256', secret, Buffer.from(id), 'captcha riddle', 32))
    this.#bytes = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
  }

  /** From 0 to 1, without 1. */
  next(): number {
    this.#at = (this.#at + 4) % this.#bytes.length
    return this.#bytes.readUInt32LE(this.#at) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  below(count: number): number {
    return Math.floor(this.next() * count)
  }
}
