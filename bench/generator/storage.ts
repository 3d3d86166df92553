// A client of the storage service that does one thing again and again, one after the other.
import type { Operations, StorageJob, StorageResult, StorageService, StorageTask } from '../job.ts'
import { cpuSeconds } from '../proc.ts'
import { Samples } from './meter.ts'
import { StorageCalls } from './storage-calls.ts'
import { type Operation, operationOf } from './storage-operations.ts'

const WARM_UP = 3

export async function runStorage({ target, storage, seconds }: StorageJob): Promise<StorageResult> {
  const operations: Operations[] = []
  for (const task of storage.tasks) {
    const client = await StorageClient.open(storage, task)
    client.start()
    const before = cpuSeconds(target.pid)
    const done = await client.stop(seconds)
    const cpu = cpuSeconds(target.pid) - before
    operations.push({ ...done, cpuSecondsPer1000: (cpu / done.count) * 1000 })
    client.close()
  }
  return { kind: 'storage', operations }
}

export class StorageClient {
  private readonly name: string
  private readonly calls: StorageCalls
  private readonly operation: Operation
  private going = false
  private done: Promise<Operations> | undefined

  private constructor(name: string, calls: StorageCalls, operation: Operation) {
    this.name = name
    this.calls = calls
    this.operation = operation
  }

  /** The first few operations do not count: they connect, and fill what the server remembers. */
  static async open({ origin, caPem }: StorageService, task: StorageTask): Promise<StorageClient> {
    const calls = new StorageCalls(origin, caPem, task.authorization)
    const operation = await operationOf(task, calls)
    for (let number = 0; number < WARM_UP; number++) await operation()
    return new StorageClient(task.name, calls, operation)
  }

  start(): void {
    this.going = true
    this.done = this.loop()
  }

  /** Lets the operation that is under way come to its end, after so many more seconds. */
  async stop(afterSeconds = 0): Promise<Operations> {
    if (afterSeconds > 0) await new Promise((resolve) => setTimeout(resolve, afterSeconds * 1000))
    this.going = false
    return this.done!
  }

  close(): void {
    this.calls.close()
  }

  private async loop(): Promise<Operations> {
    const startMs = performance.now()
    const took = new Samples()
    let count = 0
    let refused = 0
    while (this.going) {
      const { status, tookMs } = await this.operation()
      took.add(tookMs)
      count++
      if (status !== 200) refused++
    }
    const perSecond = (count * 1000) / (performance.now() - startMs)
    return { name: this.name, count, perSecond, refused, tookMs: took.percentiles() }
  }
}
