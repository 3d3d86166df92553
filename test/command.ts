// `heliograph …` as a person types it, in a process of its own.
import { execFile } from 'node:child_process'
import { join } from 'node:path'

const MAIN = join(import.meta.dirname, '..', 'server', 'heliograph.js')

const END_WITHIN_MS = 60_000

export type Said = { readonly code: number; readonly out: string; readonly err: string }

export function heliograph(...args: string[]): Promise<Said> {
  const { promise, resolve } = Promise.withResolvers<Said>()
  const bounds = { timeout: END_WITHIN_MS, killSignal: 'SIGKILL' } as const
  execFile(process.execPath, ['--no-warnings', MAIN, ...args], bounds, (error, out, err) => {
    resolve({ code: error ? Number(error.code ?? -1) : 0, out, err })
  })
  return promise
}
