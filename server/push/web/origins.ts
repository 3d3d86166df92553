import type { Clock } from '../../kit/clock.ts'
import { Breaker } from '../breaker.ts'

/** Pushes that may be on their way to one server at a time, and to all of them. */
const MAX_TO_ONE = 8
const MAX_TO_ALL = 96
const MAX_REMEMBERED = 1_000

type Origin = { readonly breaker: Breaker; underWay: number }

/**
 * Push services are as many as users like, and each is for itself: one that is slow or broken holds up its own pushes
 * and nobody else's.
 */
export class Origins {
  readonly #clock: Clock
  readonly #origins = new Map<string, Origin>()
  #underWay = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds to wait, or 0 for who may go; whoever goes has to say how it went, by `done`. */
  enter(origin: string): number {
    const { breaker, underWay } = this.#of(origin)
    if (underWay >= MAX_TO_ONE || this.#underWay >= MAX_TO_ALL) return 1_000
    const afterMs = breaker.admit()
    if (afterMs > 0) return afterMs
    this.#of(origin).underWay++
    this.#underWay++
    return 0
  }

  done(origin: string, worked: boolean): void {
    const known = this.#of(origin)
    known.underWay--
    this.#underWay--
    if (worked) known.breaker.worked()
    else known.breaker.failed()
  }

  /** Those that nobody waits for are forgotten, the oldest first. */
  #of(name: string): Origin {
    const known = this.#origins.get(name)
    if (known) return known
    if (this.#origins.size >= MAX_REMEMBERED)
      for (const [other, { underWay }] of this.#origins) {
        if (underWay > 0) continue
        this.#origins.delete(other)
        break
      }
    const origin = { breaker: new Breaker(this.#clock), underWay: 0 }
    this.#origins.set(name, origin)
    return origin
  }
}
