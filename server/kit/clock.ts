// Time is handed in: rules never read it themselves, so that tests can wind it by hand.

export type Timer = { cancel(): void }

export interface Clock {
  /** Milliseconds since 1970. It may step in either direction, as wall clocks do. */
  nowMs(): number
  /** Milliseconds since some moment: for how long something takes or lasts, whatever the wall clock does meanwhile. */
  steadyMs(): number
  after(ms: number, action: () => void): Timer
  every(ms: number, action: () => void): Timer
}

/** The longest delay that Node's timers take; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1

function afterSystem(ms: number, action: () => void): Timer {
  let handle: NodeJS.Timeout
  const wait = (leftMs: number) => {
    const stepMs = Math.min(leftMs, MAX_DELAY_MS)
    handle = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : action()), stepMs).unref()
  }
  wait(ms)
  return { cancel: () => clearTimeout(handle) }
}

/** The host's time. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  steadyMs: () => performance.now(),
  after: afterSystem,
  every(ms, action) {
    const handle = setInterval(action, Math.min(ms, MAX_DELAY_MS)).unref()
    return { cancel: () => clearInterval(handle) }
  },
}

type Waiting = { dueMs: number; readonly everyMs: number | undefined; readonly action: () => void }

/** A clock wound by hand. Timers count the time that `advance` lets pass; `set` steps the wall clock without it. */
export class ManualClock implements Clock {
  #wallMs: number
  #elapsedMs = 0
  readonly #waiting: Waiting[] = []

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = startMs
  }

  nowMs(): number {
    return this.#wallMs
  }

  steadyMs(): number {
    return this.#elapsedMs
  }

  after(ms: number, action: () => void): Timer {
    return this.#wait({ dueMs: this.#elapsedMs + Math.max(0, ms), everyMs: undefined, action })
  }

  every(ms: number, action: () => void): Timer {
    const everyMs = Math.max(1, ms)
    return this.#wait({ dueMs: this.#elapsedMs + everyMs, everyMs, action })
  }

  /** Lets time pass and fires what falls due on the way, in order, each at its own moment. */
  advance(ms: number): void {
    const untilMs = this.#elapsedMs + ms
    for (let next = this.#waiting[0]; next && next.dueMs <= untilMs; next = this.#waiting[0]) {
      this.#pass(next.dueMs)
      this.#fire(next)
    }
    this.#pass(untilMs)
  }

  /** Steps the wall clock, forwards or back, as an NTP correction does. No timer fires. */
  set(nowMs: number): void {
    this.#wallMs = nowMs
  }

  #pass(untilMs: number): void {
    this.#wallMs += untilMs - this.#elapsedMs
    this.#elapsedMs = untilMs
  }

  #fire(waiting: Waiting): void {
    this.#waiting.shift()
    if (waiting.everyMs !== undefined) {
      waiting.dueMs += waiting.everyMs
      this.#insert(waiting)
    }
    waiting.action()
  }

  #wait(waiting: Waiting): Timer {
    this.#insert(waiting)
    return { cancel: () => this.#remove(waiting) }
  }

  #insert(waiting: Waiting): void {
    const later = this.#waiting.findIndex((other) => other.dueMs > waiting.dueMs)
    this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, waiting)
  }

  #remove(waiting: Waiting): void {
    const index = this.#waiting.indexOf(waiting)
    if (index >= 0) this.#waiting.splice(index, 1)
  }
}
