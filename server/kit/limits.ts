// Token buckets in front of what may be asked too often.
import type { Clock } from './clock.ts'
import { type LimitRule, type LimitStore, MemoryLimitStore } from './limit-store.ts'
import { LIMITER_NAMES, LIMITERS, type LimiterName } from './limiters.ts'
import { Refusal } from './refusal.ts'

export { LIMITERS, type LimiterName }

/** `bucket` in permits, `refill` in seconds per permit. */
export type LimitOverride = { readonly bucket?: number | undefined; readonly refill?: number | undefined }
export type LimitOverrides = { readonly [Name in LimiterName]?: LimitOverride | undefined }

export type LimitsOptions = {
  readonly clock: Clock
  readonly overrides?: LimitOverrides | undefined
  /** Where buckets live; this process unless said otherwise. */
  readonly store?: LimitStore
  /** Called when the store failed, after which the limiter's `failOpen` decides. */
  readonly onOutage?: (name: LimiterName, error: unknown) => void
}

type Rule = LimitRule & { readonly failOpen: boolean }

function ruleOf(name: LimiterName, override: LimitOverride = {}): Rule {
  const { bucket, secondsPerPermit, failOpen } = LIMITERS[name]
  const refill = override.refill ?? secondsPerPermit
  return { name, failOpen, bucket: override.bucket ?? bucket, msPerPermit: refill * 1000 }
}

function rulesOf(overrides: LimitOverrides): Record<LimiterName, Rule> {
  const rules = LIMITER_NAMES.map((name) => [name, ruleOf(name, overrides[name])])
  return Object.fromEntries(rules) as Record<LimiterName, Rule>
}

function mustBePermits(permits: number): void {
  // A negative amount would fill the bucket.
  if (!(permits >= 0 && permits < Number.POSITIVE_INFINITY)) throw new RangeError('permits must be 0 or more')
}

/** Returns if there is nothing to wait for. */
function pass(waitMs: number): void {
  if (waitMs === 0) return
  throw new Refusal('rate-limited', { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) })
}

/**
 * Every limiter by name and key. What comes back is a promise only when the store is outside this process: `await` serves both.
 * A store that fails lets calls pass where the limiter is fail-open, and is `Refusal('unavailable')` where it is not.
 */
export class Limits {
  readonly #rules: Record<LimiterName, Rule>
  readonly #store: LimitStore
  readonly #onOutage: LimitsOptions['onOutage']

  constructor(options: LimitsOptions) {
    this.#rules = rulesOf(options.overrides ?? {})
    this.#store = options.store ?? new MemoryLimitStore(options.clock)
    this.#onOutage = options.onOutage
  }

  /** Takes permits. Throws `Refusal('rate-limited')` with the seconds to wait, and then takes none. */
  take(name: LimiterName, key: string, permits = 1): void | Promise<void> {
    mustBePermits(permits)
    const rule = this.#rules[name]
    try {
      const waitMs = this.#store.take(rule, key, permits)
      return typeof waitMs === 'number' ? pass(waitMs) : this.#passLater(rule, waitMs)
    } catch (error) {
      this.#failed(rule, error)
    }
  }

  /** Throws as `take` would, and takes nothing. */
  check(name: LimiterName, key: string, permits = 1): void | Promise<void> {
    mustBePermits(permits)
    const rule = this.#rules[name]
    try {
      const waitMs = this.#store.check(rule, key, permits)
      return typeof waitMs === 'number' ? pass(waitMs) : this.#passLater(rule, waitMs)
    } catch (error) {
      this.#failed(rule, error)
    }
  }

  /** Gives permits back after a call that was refused for another reason. A full bucket stays full. */
  restore(name: LimiterName, key: string, permits = 1): void | Promise<void> {
    mustBePermits(permits)
    const rule = this.#rules[name]
    return this.#bestEffort(rule, () => this.#store.restore(rule, key, permits))
  }

  /** Fills the bucket again. */
  clear(name: LimiterName, key: string): void | Promise<void> {
    const rule = this.#rules[name]
    return this.#bestEffort(rule, () => this.#store.clear(rule, key))
  }

  async #passLater(rule: Rule, waitMs: Promise<number>): Promise<void> {
    try {
      pass(await waitMs)
    } catch (error) {
      this.#failed(rule, error)
    }
  }

  #failed(rule: Rule, error: unknown): void {
    if (error instanceof Refusal) throw error
    this.#onOutage?.(rule.name, error)
    if (!rule.failOpen) throw new Refusal('unavailable')
  }

  /** Giving back never fails a call: what is lost refills by itself. */
  #bestEffort(rule: Rule, give: () => void | Promise<void>): void | Promise<void> {
    try {
      return give()?.catch((error: unknown) => this.#onOutage?.(rule.name, error))
    } catch (error) {
      this.#onOutage?.(rule.name, error)
    }
  }
}
