// One thread of a pool as the main thread sees it: at one call at a time.
import { Worker } from 'node:worker_threads'
import { Refusal } from './refusal.ts'
import { workerEnv } from './worker-env.ts'
import type { Answer, Call, PoolWorkerData } from './worker-pool-worker.ts'

export type Job = Call & {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

type Events = {
  readonly onFree: () => void
  readonly onEnd: (cause: unknown) => void
}

const HEAP = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 }

export class PoolThread {
  /** It loaded its module: what ends it now is a call. */
  wasReady = false
  readonly #worker: Worker
  readonly #events: Events
  readonly #ended: Promise<void>
  #job: Job | undefined
  #cause: unknown = new Error('a thread ended by itself')

  constructor({ module, data }: { readonly module: URL; readonly data: unknown }, events: Events) {
    const workerData: PoolWorkerData = { module: module.href, data }
    const entry = new URL('./worker-pool-worker.ts', import.meta.url)
    this.#events = events
    this.#worker = new Worker(entry, { workerData, execArgv: [], env: workerEnv(), resourceLimits: HEAP })
    this.#worker.on('message', (answer: Answer) => this.#answered(answer))
    this.#worker.on('error', (error) => {
      this.#cause = error
    })
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#end()
        resolve()
      })
    })
    // Only a call that has no answer yet keeps the process alive.
    this.#worker.unref()
  }

  get isFree(): boolean {
    return this.#job === undefined
  }

  run(job: Job): void {
    try {
      this.#worker.postMessage({ name: job.name, args: job.args } satisfies Call)
    } catch (error) {
      // An argument that cannot be cloned.
      job.reject(error as Error)
      return
    }
    this.#job = job
    this.#worker.ref()
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
    await this.#ended
  }

  #answered(answer: Answer): void {
    this.wasReady = true
    if (answer.kind === 'ready') return
    const job = this.#job
    this.#job = undefined
    this.#worker.unref()
    if (answer.kind === 'result') job?.resolve(answer.result)
    else job?.reject(new Error(answer.message))
    this.#events.onFree()
  }

  #end(): void {
    const job = this.#job
    this.#job = undefined
    job?.reject(new Refusal('unavailable'))
    this.#events.onEnd(this.#cause)
  }
}
