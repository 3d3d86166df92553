// A worker thread as the main thread sees it: started, rung, closed.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { workerEnv } from '../worker-env.ts'
import type { SqliteSettings } from './sqlite-connection.ts'
import type { WorkerReady, WorkerSettings } from './sqlite-worker.ts'
import { StorageError } from './storage-error.ts'

/** A batch and its answer leave little garbage. */
const HEAP = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 }
const NEVER_READY: WorkerReady = { ready: false, sentence: 'The database thread ended before it was ready.' }

export class SqliteThread {
  readonly #worker: Worker
  readonly #bell: Int32Array
  readonly #ended: Promise<void>

  private constructor(worker: Worker, bell: Int32Array, ended: Promise<void>) {
    this.#worker = worker
    this.#bell = bell
    this.#ended = ended
  }

  /** Rejects with a StorageError that says in a sentence why the file cannot be opened. */
  static async start(settings: SqliteSettings): Promise<SqliteThread> {
    const bell = new Int32Array(new SharedArrayBuffer(4))
    const workerData: WorkerSettings = { ...settings, bell }
    const entry = new URL('./sqlite-worker.ts', import.meta.url)
    const worker = new Worker(entry, { workerData, execArgv: [], env: workerEnv(), resourceLimits: HEAP })
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const answer = await Promise.race([firstMessage(worker), ended.then(() => NEVER_READY)])
    if (answer.ready) return new SqliteThread(worker, bell, ended)
    await worker.terminate()
    throw new StorageError(answer.sentence)
  }

  onAnswer(take: (answer: ArrayBuffer) => void): void {
    this.#worker.on('message', take)
  }

  onDeath(tell: (cause: Error) => void): void {
    this.#worker.on('error', tell)
    this.#worker.on('messageerror', tell)
    void this.#ended.then(() => tell(new Error('a thread ended')))
  }

  send(packed: ArrayBuffer): void {
    this.#worker.postMessage(packed, [packed])
    this.#ring()
  }

  async close(): Promise<void> {
    this.#worker.postMessage('close')
    this.#ring()
    await this.#ended
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #ring(): void {
    Atomics.add(this.#bell, 0, 1)
    Atomics.notify(this.#bell, 0)
  }
}

async function firstMessage(worker: Worker): Promise<WorkerReady> {
  const [answer] = (await once(worker, 'message')) as [WorkerReady]
  return answer
}
