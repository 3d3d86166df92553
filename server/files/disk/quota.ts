import { FileRefusal } from '../file-store.ts'

/** How many bytes a store may hold, unfinished uploads included. */
export class Quota {
  readonly #maxBytes: number
  #usedBytes: number

  constructor(maxBytes: number | undefined, usedBytes: number) {
    this.#maxBytes = maxBytes ?? Number.POSITIVE_INFINITY
    this.#usedBytes = usedBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Refuses (`full`) what does not fit. */
  mustFit(bytes: number): void {
    if (this.#usedBytes + bytes > this.#maxBytes) throw new FileRefusal('full')
  }

  take(bytes: number): void {
    this.mustFit(bytes)
    this.#usedBytes += bytes
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes
  }
}
