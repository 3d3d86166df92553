import type { Clock, Timer } from './clock.ts'

/** `closing` tells a round to stop at the next good moment. */
export type Round = (closing: AbortSignal) => Promise<unknown>

/**
 * What a service does again and again. A piece of work has one round at a time: what falls due while one runs, however
 * often, is one more round right after it. A round that fails is a bug, and the next one comes all the same. Nothing
 * begins any more after `close`.
 */
export class Housekeeping {
  readonly #clock: Clock
  readonly #onBug: (error: unknown, where: string) => void
  readonly #timers: Timer[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #closing = new AbortController()

  constructor(clock: Clock, onBug: (error: unknown, where: string) => void) {
    this.#clock = clock
    this.#onBug = onBug
  }

  /** `name` is for the log: `profiles.sweep`. The first round comes after the first interval. */
  every(intervalMs: number, name: string, round: Round): void {
    let isRunning = false
    let isDue = false
    const begin = () => {
      isDue = isRunning
      if (isRunning) return
      isRunning = true
      const running = this.#run(name, round).finally(() => {
        isRunning = false
        this.#running.delete(running)
        if (isDue && !this.#closing.signal.aborted) begin()
      })
      this.#running.add(running)
    }
    this.#timers.push(this.#clock.every(intervalMs, begin))
  }

  /** Resolves when no round runs any more. */
  async close(): Promise<void> {
    this.#closing.abort()
    for (const timer of this.#timers) timer.cancel()
    await Promise.all(this.#running)
  }

  async #run(name: string, round: Round): Promise<void> {
    try {
      await round(this.#closing.signal)
    } catch (error) {
      this.#onBug(error, name)
    }
  }
}
