// Which numbers an account asked for within a day, so that they are counted once. In memory only, and only as hashes with
// a key of this process: nobody's address book can be read from it.

import { createHmac } from 'node:crypto'
import type { Aci, E164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Random } from '../../kit/random.ts'

const KEY_BYTES = 32
/** About 150 bytes each. */
const MAX_KEPT = 200_000

export class AskedNumbers {
  readonly #clock: Clock
  readonly #key: Buffer
  readonly #maxKept: number
  /** When each was asked for, the oldest first. */
  readonly #askedAtMs = new Map<string, number>()

  constructor(clock: Clock, random: Random, maxKept = MAX_KEPT) {
    this.#clock = clock
    this.#key = Buffer.from(random.bytes(KEY_BYTES))
    this.#maxKept = maxKept
  }

  has(aci: Aci, number: E164): boolean {
    const atMs = this.#askedAtMs.get(this.#nameOf(aci, number))
    return atMs !== undefined && this.#clock.nowMs() - atMs < DAY_MS
  }

  add(aci: Aci, number: E164): void {
    const name = this.#nameOf(aci, number)
    this.#askedAtMs.delete(name)
    this.#askedAtMs.set(name, this.#clock.nowMs())
    for (const [oldest, atMs] of this.#askedAtMs) {
      if (this.#askedAtMs.size <= this.#maxKept && this.#clock.nowMs() - atMs < DAY_MS) return
      this.#askedAtMs.delete(oldest)
    }
  }

  #nameOf(aci: Aci, number: E164): string {
    const hash = createHmac('sha256', this.#key).update(`${aci} ${number}`).digest()
    return hash.toString('latin1', 0, 16)
  }
}
