// SHA-256 whose state survives the process: what is at the bucket cannot be read again before the object is finished.
// node:crypto does not give its state away; hash-wasm does.
import { createSHA256, type IHasher } from 'hash-wasm'

export class CheckpointedDigest {
  readonly #hasher: IHasher

  private constructor(hasher: IHasher) {
    this.#hasher = hasher
  }

  /** From the beginning, or from what `save` gave. Throws if another version of the library gave it. */
  static async open(state?: string): Promise<CheckpointedDigest> {
    const hasher = await createSHA256()
    return new CheckpointedDigest(
      state === undefined ? hasher.init() : hasher.load(Buffer.from(state, 'base64')),
    )
  }

  update(bytes: Uint8Array): void {
    this.#hasher.update(bytes)
  }

  /** Base64. */
  save(): string {
    return Buffer.from(this.#hasher.save()).toString('base64')
  }

  /** Nothing is added afterwards. */
  end(): Buffer {
    return Buffer.from(this.#hasher.digest('binary'))
  }
}
