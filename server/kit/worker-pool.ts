// Functions that would hold up the event loop for milliseconds, run in a few threads of low priority.
import { availableParallelism } from 'node:os'
import { Refusal } from './refusal.ts'
import { type Job, PoolThread } from './worker-pool-thread.ts'
import type { WorkerFunctions } from './worker-pool-worker.ts'

export type { WorkerFunctions }

export type WorkerPoolOptions = {
  /** A module that exports `open(data)`, which gives the functions. */
  readonly module: URL
  /** Handed to every thread when it starts, never again. It may be secret: nothing logs it. */
  readonly data: unknown
  readonly size?: number
  /** Calls that may wait for a thread; one more is refused. */
  readonly maxWaiting?: number
  /** A thread ended that should not have: a bug. Another takes its place. */
  readonly onDeath?: (cause: unknown) => void
}

const MAX_THREADS = 2
const MAX_WAITING = 2000

/** One core is left to the event loop, if there are more. */
const defaultSize = () => Math.min(MAX_THREADS, Math.max(1, availableParallelism() - 1))

export class WorkerPool<F extends WorkerFunctions> {
  readonly #options: WorkerPoolOptions
  readonly #size: number
  readonly #maxWaiting: number
  readonly #waiting: Job[] = []
  readonly #threads = new Set<PoolThread>()
  #closed = false

  /** Starts no thread before there is a call for it. */
  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#size = options.size ?? defaultSize()
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING
  }

  /** How many threads there are: none before the first call. */
  get threads(): number {
    return this.#threads.size
  }

  /**
   * Calls are taken up in their order. Rejects with what the function threw (an `Error` of the same message), or with
   * `Refusal('unavailable')` when too many wait, the thread died, or the pool is closed.
   */
  call<N extends keyof F & string>(name: N, ...args: Parameters<F[N]>): Promise<Awaited<ReturnType<F[N]>>> {
    return new Promise((resolve, reject) => {
      if (this.#closed || this.#waiting.length >= this.#maxWaiting) return reject(new Refusal('unavailable'))
      this.#waiting.push({ name, args, resolve: resolve as Job['resolve'], reject })
      this.#dispatch()
    })
  }

  /** Refuses what waits, and ends the threads; what one of them is at is refused as well. */
  async close(): Promise<void> {
    this.#closed = true
    this.#refuseWaiting()
    await Promise.all([...this.#threads].map((thread) => thread.close()))
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#freeThread()
      if (!thread) return
      thread.run(this.#waiting.shift()!)
    }
  }

  #freeThread(): PoolThread | undefined {
    for (const thread of this.#threads) if (thread.isFree) return thread
    return this.#threads.size < this.#size ? this.#start() : undefined
  }

  #start(): PoolThread {
    const thread: PoolThread = new PoolThread(this.#options, {
      onFree: () => this.#dispatch(),
      onEnd: (cause) => this.#ended(thread, cause),
    })
    this.#threads.add(thread)
    return thread
  }

  #ended(thread: PoolThread, cause: unknown): void {
    this.#threads.delete(thread)
    if (this.#closed) return
    this.#options.onDeath?.(cause)
    // One that never got ready would have the next end like it.
    if (thread.wasReady) this.#dispatch()
    else this.#refuseWaiting()
  }

  #refuseWaiting(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Refusal('unavailable'))
  }
}
