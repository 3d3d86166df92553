// The streaming calls in progress: looked at now and then, and ended together when the server stops.
import type { Http2Session } from 'node:http2'
import type { Clock, Timer } from './clock.ts'
import type { StreamingCall } from './grpc-call.ts'
import { GrpcCode, type GrpcStatus } from './grpc-status.ts'

const SWEEP_MS = 5_000
/** A connection is asked this often whether it is alive; one that has not answered by the next time is dead. */
export const PING_MS = 45_000

const STOPPING: GrpcStatus = { code: GrpcCode.unavailable, reason: 'UNAVAILABLE', message: 'stopping' }

export class StreamingCalls {
  readonly #calls = new Set<StreamingCall>()
  /** How many calls a connection carries. */
  readonly #sessions = new Map<Http2Session, number>()
  readonly #unanswered = new WeakSet<Http2Session>()
  readonly #timers: readonly Timer[]
  #stopping = false

  constructor(clock: Clock) {
    this.#timers = [
      clock.every(SWEEP_MS, () => this.#sweep()),
      clock.every(PING_MS, () => {
        for (const session of this.#sessions.keys()) this.#ping(session)
      }),
    ]
  }

  get size(): number {
    return this.#calls.size
  }

  isOn(session: Http2Session): boolean {
    return this.#sessions.has(session)
  }

  add(call: StreamingCall, session: Http2Session | undefined): void {
    if (this.#stopping) call.end(STOPPING)
    if (call.over.aborted) return
    this.#calls.add(call)
    if (session) this.#sessions.set(session, (this.#sessions.get(session) ?? 0) + 1)
    call.over.addEventListener('abort', () => this.#forget(call, session), { once: true })
  }

  close(): void {
    this.#stopping = true
    for (const timer of this.#timers) timer.cancel()
    for (const call of this.#calls) call.end(STOPPING)
  }

  #forget(call: StreamingCall, session: Http2Session | undefined): void {
    this.#calls.delete(call)
    if (!session) return
    const left = (this.#sessions.get(session) ?? 1) - 1
    if (left === 0) this.#sessions.delete(session)
    else this.#sessions.set(session, left)
  }

  #sweep(): void {
    for (const call of this.#calls) call.pass(SWEEP_MS)
  }

  #ping(session: Http2Session): void {
    if (session.destroyed) return
    if (this.#unanswered.has(session)) {
      session.destroy()
      return
    }
    this.#unanswered.add(session)
    session.ping((error) => {
      if (!error) this.#unanswered.delete(session)
    })
  }
}
