import type { Clock } from '../kit/clock.ts'

const OPENS_AFTER = 5
const FIRST_REST_MS = 2_000
const LONGEST_REST_MS = 300_000

/**
 * Spares a provider that does not work: after five failures in a row nobody asks it for a while, then one does, and
 * the rest doubles until it works again.
 */
export class Breaker {
  readonly #clock: Clock
  #failures = 0
  #restMs = FIRST_REST_MS
  #openUntilMs = 0
  #isTrying = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isOpen(): boolean {
    return this.#failures >= OPENS_AFTER
  }

  /** Milliseconds until somebody may ask; 0 for who may now, and then has to tell how it went. */
  admit(): number {
    if (!this.isOpen) return 0
    const leftMs = this.#openUntilMs - this.#clock.steadyMs()
    if (leftMs > 0) return leftMs
    if (this.#isTrying) return FIRST_REST_MS
    this.#isTrying = true
    return 0
  }

  worked(): void {
    this.#failures = 0
    this.#restMs = FIRST_REST_MS
    this.#isTrying = false
  }

  failed(): void {
    const wasTrying = this.#isTrying
    this.#isTrying = false
    this.#failures++
    if (!this.isOpen || (this.#openUntilMs > this.#clock.steadyMs() && !wasTrying)) return
    this.#openUntilMs = this.#clock.steadyMs() + this.#restMs
    this.#restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS)
  }
}
