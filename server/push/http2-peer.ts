import type { Clock, Timer } from '../kit/clock.ts'
import { NoAnswer } from '../kit/outgoing.ts'
import { Line, type LineAnswer, type LineOptions, type LineRequest } from './http2-line.ts'

/** Connecting and waiting for room included: twice this, and twice a token, is within half a minute. */
const ANSWER_MS = 10_000
/** For requests that certainly did not arrive. */
const MAX_TRIES = 3

export type PeerOptions = LineOptions & {
  /** Whether an answer says that nothing more is taken on its connection. */
  readonly endsAt?: (answer: LineAnswer) => boolean
}

type Asking = {
  readonly request: LineRequest
  readonly resolve: (answer: LineAnswer) => void
  readonly reject: (error: unknown) => void
  patience: Timer
  tries: number
  cancel: (() => void) | undefined
}

/**
 * A provider over HTTP/2: one connection at a time, opened when it is needed, with as many requests at a time as the
 * provider allows; the others wait. What certainly did not arrive is asked again on another connection.
 */
export class Http2Peer {
  readonly #options: PeerOptions
  readonly #clock: Clock
  readonly #lines = new Set<Line>()
  #line: Line | undefined
  #opening: Promise<void> | undefined
  readonly #asked = new Set<Promise<LineAnswer>>()
  #waiting: Asking[] = []
  #closed = false

  constructor(options: PeerOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  /** Rejects with `NoAnswer`. */
  ask(request: LineRequest): Promise<LineAnswer> {
    if (this.#closed) return Promise.reject(new NoAnswer('CLOSED', false))
    const { promise, resolve, reject } = Promise.withResolvers<LineAnswer>()
    const patience = this.#clock.after(ANSWER_MS, () => this.#expire(asking))
    const asking: Asking = { request, resolve, reject, patience, tries: 0, cancel: undefined }
    this.#waiting.push(asking)
    this.#begin()
    return this.#tracked(promise)
  }

  /** What is under way has its answer first. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#asked)
    for (const line of this.#lines) line.close()
  }

  #tracked(answer: Promise<LineAnswer>): Promise<LineAnswer> {
    this.#asked.add(answer)
    const done = () => this.#asked.delete(answer)
    answer.then(done, done)
    return answer
  }

  #begin(): void {
    if (this.#waiting.length === 0) return
    const line = this.#line
    if (!line?.isOpen) this.#open()
    else while (line.hasRoom && this.#waiting.length > 0) this.#start(line, this.#waiting.shift()!)
  }

  #open(): void {
    this.#opening ??= Line.open(this.#options, () => this.#changed())
      .then(
        (line) => {
          this.#line = line
          this.#lines.add(line)
          if (this.#closed) line.close()
          if (!line.isOpen) this.#refuseWaiting(new NoAnswer('CLOSED', false))
        },
        (error) => this.#refuseWaiting(error),
      )
      .finally(() => {
        this.#opening = undefined
        this.#begin()
      })
  }

  #changed(): void {
    for (const line of this.#lines) if (!line.isOpen) this.#lines.delete(line)
    this.#begin()
  }

  #start(line: Line, asking: Asking): void {
    asking.tries++
    const { answer, cancel } = line.ask(asking.request)
    asking.cancel = cancel
    answer.then(
      (answered) => {
        asking.patience.cancel()
        if (this.#options.endsAt?.(answered)) line.close()
        asking.resolve(answered)
      },
      (error: NoAnswer) => {
        asking.cancel = undefined
        if (!error.mayHaveArrived && asking.tries < MAX_TRIES) {
          this.#waiting.unshift(asking)
          this.#begin()
        } else {
          asking.patience.cancel()
          asking.reject(error)
        }
      },
    )
  }

  #expire(asking: Asking): void {
    const { cancel } = asking
    this.#waiting = this.#waiting.filter((waiting) => waiting !== asking)
    asking.reject(new NoAnswer('TIMEOUT', cancel !== undefined))
    asking.tries = MAX_TRIES
    cancel?.()
  }

  #refuseWaiting(error: unknown): void {
    for (const { patience, reject } of this.#waiting.splice(0)) {
      patience.cancel()
      reject(error)
    }
  }
}
