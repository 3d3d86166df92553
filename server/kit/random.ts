// Randomness is handed in: the operating system's in service, a seeded stream in tests.
import { createHash, randomBytes, randomFillSync, randomUUID } from 'node:crypto'
import { uuidFromBytes } from '../../wire/types.ts'

export interface Random {
  bytes(size: number): Buffer
  /** A version 4 UUID, in lower case. */
  uuid(): string
  /** Uniform decimal digits, leading zeros included. */
  digits(count: number): string
}

/** Bytes from here up would make some digits likelier than others. */
const DIGIT_BYTES_END = 250

function digitsFrom(bytes: (size: number) => Buffer, count: number): string {
  let text = ''
  while (text.length < count) {
    for (const byte of bytes(count - text.length)) {
      if (byte < DIGIT_BYTES_END) text += byte % 10
    }
  }
  return text
}

const POOL_BYTES = 8192
const MAX_POOLED_BYTES = 64
let pool = Buffer.alloc(0)
let pooled = 0

/** A call for few bytes costs as much as one for many; what was handed out is never handed out again. */
function pooledBytes(size: number): Buffer {
  if (size > MAX_POOLED_BYTES) return randomBytes(size)
  if (pooled + size > pool.length) {
    pool = randomFillSync(Buffer.allocUnsafeSlow(POOL_BYTES))
    pooled = 0
  }
  pooled += size
  return pool.subarray(pooled - size, pooled)
}

/** The operating system's randomness, fit for secrets. */
export const systemRandom: Random = {
  bytes: pooledBytes,
  uuid: () => randomUUID(),
  digits: (count) => digitsFrom(randomBytes, count),
}

/** A stream that is the same for the same seed. Only for tests: whoever knows the seed knows everything. */
export class SeededRandom implements Random {
  readonly #seed: string
  #block = 0
  #left: Buffer = Buffer.alloc(0)

  constructor(seed: string | number) {
    this.#seed = String(seed)
  }

  bytes(size: number): Buffer {
    while (this.#left.length < size) this.#left = Buffer.concat([this.#left, this.#nextBlock()])
    const taken = Buffer.from(this.#left.subarray(0, size))
    this.#left = this.#left.subarray(size)
    return taken
  }

  uuid(): string {
    const bytes = this.bytes(16)
    // RFC 9562 §5.4: version 4 in the high bits of octet 6, variant 10 in those of octet 8.
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    return uuidFromBytes(bytes)
  }

  digits(count: number): string {
    return digitsFrom((size) => this.bytes(size), count)
  }

  #nextBlock(): Buffer {
    return createHash('sha256')
      .update(`${this.#seed}:${this.#block++}`)
      .digest()
  }
}
