// A puzzle that takes memory and time to solve, one evaluation to make and a comparison to check (docs/decisions/captcha.md).
import type { Random } from '../kit/random.ts'
import { WorkerPool } from '../kit/worker-pool.ts'
import type { DerivingFunctions } from './deriving.ts'

/** Find the counter below `count` whose key begins with `target`: Argon2id (RFC 9106), one pass, one lane, 32 bytes. */
export type Puzzle = {
  readonly algorithm: 'argon2id'
  readonly memoryKiB: number
  /** base64url, as are the others. */
  readonly salt: string
  readonly count: number
  readonly target: string
}

export const MEMORY_KIB = 16 * 1024
const SALT_BYTES = 16
/** The solver sees so much of the key, and has to show the rest. */
const TARGET_BYTES = 12
/** Beyond these, who wants a puzzle is told to come back: an evaluation takes 20 ms. */
const MAX_WAITING = 64
const MAX_COUNT = 2 ** 20

export class ProofOfWork {
  readonly #pool: WorkerPool<DerivingFunctions>
  readonly #random: Random

  constructor(random: Random, onBug: (error: unknown, where: string) => void) {
    this.#random = random
    this.#pool = new WorkerPool({
      module: new URL('./deriving.ts', import.meta.url),
      data: undefined,
      size: 1,
      maxWaiting: MAX_WAITING,
      onDeath: (cause) => onBug(cause, 'captcha.deriving'),
    })
  }

  /** `key` must stay secret: it is the answer. Rejects with `Refusal('unavailable')` when too many want one. */
  async make(wanted: number): Promise<{ puzzle: Puzzle; key: string }> {
    const count = Math.min(MAX_COUNT, wanted)
    const salt = this.#random.bytes(SALT_BYTES)
    const counter = this.#random.bytes(4).readUInt32BE() % count
    const key = Buffer.from(await this.#pool.call('derive', counter, salt, MEMORY_KIB))
    const target = key.subarray(0, TARGET_BYTES).toString('base64url')
    return {
      puzzle: {
        algorithm: 'argon2id',
        memoryKiB: MEMORY_KIB,
        salt: salt.toString('base64url'),
        count,
        target,
      },
      key: key.toString('base64url'),
    }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}
