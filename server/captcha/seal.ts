// What only this server can have written, and only it can read: AES-256-GCM over JSON, with a key for one purpose.
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import type { z } from 'zod'
import type { Random } from '../kit/random.ts'

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const SEALED = /^[A-Za-z0-9_-]{40,900}$/

export class Seal<S extends z.ZodType> {
  readonly #key: Buffer
  readonly #schema: S
  readonly #random: Random

  /** `purpose` is part of the key: what is sealed for one is nothing to another. */
  constructor(options: {
    readonly secret: Uint8Array
    readonly purpose: string
    readonly schema: S
    readonly random: Random
  }) {
    this.#key = Buffer.from(hkdfSync('sha256', options.secret, new Uint8Array(0), options.purpose, 32))
    this.#schema = options.schema
    this.#random = options.random
  }

  /** Text for an address. Its fields are one authenticated message: none can be changed, cut or moved to another. */
  seal(value: z.input<S>): string {
    const nonce = this.#random.bytes(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
    const body = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
    return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url')
  }

  /** Nothing for what was not sealed here. */
  open(text: string): z.output<S> | undefined {
    if (!SEALED.test(text)) return undefined
    const bytes = Buffer.from(text, 'base64url')
    const [nonce, body, tag] = [
      bytes.subarray(0, NONCE_BYTES),
      bytes.subarray(NONCE_BYTES, -TAG_BYTES),
      bytes.subarray(-TAG_BYTES),
    ]
    try {
      const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
      decipher.setAuthTag(tag)
      const plain = Buffer.concat([decipher.update(body), decipher.final()])
      return this.#schema.parse(JSON.parse(plain.toString('utf8')))
    } catch {
      return undefined
    }
  }
}
