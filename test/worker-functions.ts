// What the tests of the worker pool have a thread do.
import { getPriority } from 'node:os'
import { threadId } from 'node:worker_threads'

export type TestFunctions = ReturnType<typeof open>
export type TestData = { readonly key: Uint8Array; readonly breaks?: boolean }

export function open({ key, breaks = false }: TestData) {
  if (breaks) throw new Error('it cannot start')
  let calls = 0
  return {
    add: (a: number, b: number) => a + b,
    key: () => key,
    calls: () => ++calls,
    priority: () => getPriority(),
    fail(): never {
      throw new RangeError('it went wrong')
    },
    die(): never {
      process.exit(3)
    },
    /** Comes to no end until the shared number is raised. */
    hold(gate: Int32Array<SharedArrayBuffer>) {
      Atomics.wait(gate, 0, 0)
      return threadId
    },
  }
}
