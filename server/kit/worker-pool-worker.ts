// The inside of a pool's thread: a call in, its answer out.
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'

/** What a module gives by its `open(data)`: arguments and results are cloned on their way, so bytes, numbers, texts and lists. */
// biome-ignore lint/suspicious/noExplicitAny: functions of any arguments
export type WorkerFunctions = Readonly<Record<string, (...args: any[]) => unknown>>

export type PoolWorkerData = { readonly module: string; readonly data: unknown }
export type Call = { readonly name: string; readonly args: readonly unknown[] }
export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'thrown'; readonly message: string }

/** Linux gives each thread a priority of its own (setpriority(2), "C library/kernel differences"); elsewhere it is the process's. */
function yieldToOthers(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(constants.priority.PRIORITY_LOW)
  } catch {
    // A sandbox that forbids it.
  }
}

const port = parentPort!
const { module, data } = workerData as PoolWorkerData

yieldToOthers()
const { open } = (await import(module)) as { open: (data: unknown) => WorkerFunctions }
const functions = open(data)

async function answer({ name, args }: Call): Promise<Answer> {
  try {
    return { kind: 'result', result: await functions[name]!(...args) }
  } catch (error) {
    return { kind: 'thrown', message: error instanceof Error ? error.message : 'not an error' }
  }
}

port.postMessage({ kind: 'ready' } satisfies Answer)
port.on('message', (call: Call) => void answer(call).then((answered) => port.postMessage(answered)))
