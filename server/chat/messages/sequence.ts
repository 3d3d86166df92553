import type { Clock } from '../../kit/clock.ts'

const PER_MS = 1024

/**
 * Numbers that rise with time and never repeat, even if the wall clock steps back: milliseconds since 1970
 * times 1024, plus twice a count. They stay below 2^53 until the year 2248. The odd ones are copies that share content.
 */
export class Sequence {
  readonly #clock: Clock
  #last: number

  constructor(clock: Clock, last: number) {
    this.#clock = clock
    this.#last = last
  }

  next(): number {
    this.#last = Math.max(this.#last + 2 - (this.#last % 2), this.#clock.nowMs() * PER_MS)
    return this.#last
  }

  nextShared(): number {
    return this.next() + 1
  }
}

/** Whether a copy's content is kept apart from it, with that of others. */
export const isShared = (seq: number): boolean => seq % 2 === 1

/** The lowest number that a moment can have. */
export const seqAt = (ms: number): number => ms * PER_MS
