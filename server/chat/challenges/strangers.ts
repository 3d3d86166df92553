// Who writes to too many strangers in a day. All of it is in memory, under a key that ends with the process: nothing on
// a disk, and nothing readable in memory, tells who writes to whom.

import { createHmac } from 'node:crypto'
import type { Aci } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS, dayOf } from '../../kit/days.ts'
import type { Random } from '../../kit/random.ts'

const KEY_BYTES = 32
/** Of pairs that wrote to each other so many are remembered, the newest. */
const MAX_PAIRS = 500_000

export type StrangersOptions = {
  readonly clock: Clock
  readonly random: Random
  /** At least 1. */
  readonly perDay: number
}

export class Strangers {
  readonly #clock: Clock
  readonly #perDay: number
  readonly #key: Buffer
  #day = 0
  /** Whom each sender wrote to today, of those that had not written to it. */
  readonly #met = new Map<Aci, Set<string>>()
  /** Who wrote to whom, in the order of the first time. */
  readonly #pairs = new Set<string>()

  constructor({ clock, random, perDay }: StrangersOptions) {
    this.#clock = clock
    this.#perDay = perDay
    this.#key = random.bytes(KEY_BYTES)
  }

  /** Counts a message, unless its recipient is one stranger too many for the day: then it is false. */
  admit(sender: Aci, recipient: Aci): boolean {
    this.#turnDay()
    const pair = this.#pair(sender, recipient)
    if (!this.#pairs.has(this.#pair(recipient, sender)) && !this.#meet(sender, pair)) return false
    this.#remember(pair)
    return true
  }

  /** The sender may write to as many strangers again. */
  forgive(sender: Aci): void {
    this.#met.delete(sender)
  }

  /** Milliseconds until everybody may. */
  get untilTomorrowMs(): number {
    return DAY_MS - (this.#clock.nowMs() % DAY_MS)
  }

  #meet(sender: Aci, pair: string): boolean {
    const met = this.#met.get(sender) ?? new Set()
    if (met.has(pair)) return true
    if (met.size >= this.#perDay) return false
    this.#met.set(sender, met.add(pair))
    return true
  }

  #remember(pair: string): void {
    this.#pairs.add(pair)
    if (this.#pairs.size <= MAX_PAIRS) return
    for (const oldest of this.#pairs) {
      this.#pairs.delete(oldest)
      return
    }
  }

  #turnDay(): void {
    const day = dayOf(this.#clock.nowMs())
    if (day === this.#day) return
    this.#day = day
    this.#met.clear()
  }

  #pair(from: Aci, to: Aci): string {
    return createHmac('sha256', this.#key).update(from).update(to).digest('base64').slice(0, 16)
  }
}
