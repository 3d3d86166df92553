// Those who wait for something that is on its way. What they wait for is stored: the bus only says that it is there.
import type { Asker } from '../../../wire/route.ts'
import type { Bus } from '../../kit/bus.ts'
import type { Clock } from '../../kit/clock.ts'

/** More than these, and the one that waits longest is answered with nothing. */
const MAX_WAITING = 20_000

export type Wait = {
  /** What is waited for. A second wait for the same ends the first with nothing. */
  readonly key: string
  readonly timeoutMs: number
  readonly asker: Asker
  /** Look this often, too. */
  readonly everyMs?: number
}

export class Waits {
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #waiting = new Map<string, () => void>()
  readonly #maxWaiting: number
  #closed = false

  constructor(options: { readonly bus: Bus; readonly clock: Clock; readonly maxWaiting?: number }) {
    this.#bus = options.bus
    this.#clock = options.clock
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING
  }

  /** Call it after what belongs to the key was stored. */
  arrived(key: string): void {
    this.#bus.publish(channelOf(key), { type: 'arrived' })
  }

  /**
   * What `look` finds, as soon as it finds something: it looks at once, and whenever something arrived. Nothing when the
   * time is over, the asker is gone, somebody else waits for the same, or the server stops.
   */
  async until<T>(wait: Wait, look: () => Promise<T | undefined>): Promise<T | undefined> {
    const bell = new Bell()
    const subscription = this.#bus.subscribe(channelOf(wait.key), () => bell.ring())
    const timers = [this.#clock.after(wait.timeoutMs, () => bell.end())]
    if (wait.everyMs !== undefined) timers.push(this.#clock.every(wait.everyMs, () => bell.ring()))
    const presence = wait.asker.onGone(() => bell.end())
    const end = () => bell.end()
    this.#enter(wait.key, end)
    try {
      for (;;) {
        const found = await look()
        if (found !== undefined || bell.ended) return found
        await bell.rung()
      }
    } finally {
      for (const one of [subscription, presence, ...timers]) one.cancel()
      if (this.#waiting.get(wait.key) === end) this.#waiting.delete(wait.key)
    }
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** Answers everybody who waits, and from now on everybody at once. */
  close(): void {
    this.#closed = true
    for (const end of this.#waiting.values()) end()
  }

  #enter(key: string, end: () => void): void {
    this.#waiting.get(key)?.()
    this.#waiting.delete(key)
    this.#waiting.set(key, end)
    if (this.#closed) end()
    if (this.#waiting.size <= this.#maxWaiting) return
    const [longest, endLongest] = this.#waiting.entries().next().value!
    this.#waiting.delete(longest)
    endLongest()
  }
}

const channelOf = (key: string) => `wait:${key}`

/** Remembers that it rang while nobody listened. */
class Bell {
  ended = false
  #rang = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rang = true
    this.#wake?.()
  }

  end(): void {
    this.ended = true
    this.ring()
  }

  async rung(): Promise<void> {
    if (!this.#rang)
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    this.#wake = undefined
    this.#rang = false
  }
}
