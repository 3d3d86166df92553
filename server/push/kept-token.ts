import type { Clock } from '../kit/clock.ts'

export type MadeToken = { readonly value: string; readonly goodForMs: number }

export type KeptTokenOptions = {
  readonly make: () => Promise<MadeToken>
  readonly clock: Clock
  /** One that was refused is made anew only if it is as old as this. */
  readonly leastAgeMs: number
}

type Kept = {
  readonly value: string
  readonly madeAtMs: number
  renewFromMs: number
  readonly endsAtMs: number
}

/** Of the time that a token is good for, how much passes before it is renewed. */
const RENEW_AFTER = 5 / 6
const RENEW_AGAIN_MS = 30_000

/** What proves to a provider who we are: renewed before its end, one renewal at a time. */
export class KeptToken {
  readonly #options: KeptTokenOptions
  #kept: Kept | undefined
  #renewing: Promise<string> | undefined

  constructor(options: KeptTokenOptions) {
    this.#options = options
  }

  /** Rejects as `make` does, unless the one before is still good. */
  async current(): Promise<string> {
    const nowMs = this.#options.clock.steadyMs()
    const kept = this.#kept
    if (!kept || nowMs >= kept.endsAtMs) return this.#renew()
    if (nowMs >= kept.renewFromMs) {
      kept.renewFromMs = nowMs + RENEW_AGAIN_MS
      this.#renew().catch(() => {})
    }
    return kept.value
  }

  /** Another one in the place of one that the provider refused; nothing if that is too young to be the reason. */
  async instead(refused: string): Promise<string | undefined> {
    if (this.#renewing) return this.#renewing
    const kept = this.#kept
    if (kept?.value !== refused) return this.current()
    const { clock, leastAgeMs } = this.#options
    return clock.steadyMs() - kept.madeAtMs < leastAgeMs ? undefined : this.#renew()
  }

  #renew(): Promise<string> {
    this.#renewing ??= this.#make().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #make(): Promise<string> {
    const { make, clock } = this.#options
    const madeAtMs = clock.steadyMs()
    const { value, goodForMs } = await make()
    const renewFromMs = madeAtMs + RENEW_AFTER * goodForMs
    this.#kept = { value, madeAtMs, renewFromMs, endsAtMs: madeAtMs + goodForMs }
    return value
  }
}
