// Pushes through the queue, the gateway and the providers' code to stand-ins of Google and Apple that fail now and then: how many a
// second, what each costs, and whether one was lost or came twice.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Options } from './options.ts'

export type PushFigures = {
  readonly phones: number
  readonly seconds: number
  /** Of this process alone: queue, database, gateway, providers' code. */
  readonly cpuSeconds: number
  readonly requests: number
  readonly pushes: number
  readonly connections: number
  readonly outcomes: Readonly<Record<string, number>>
  /** Phones that were not woken, or oftener than an answer was lost. */
  readonly wrong: readonly string[]
  /** Pushes that were taken again because their answer was lost. */
  readonly again: number
}

/** The stand-ins are the tests' own, and nothing here may import those. */
const PROGRAM = join(import.meta.dirname, '..', 'test', 'push', 'wake-many.ts')

export async function pushFigures({ quick }: Pick<Options, 'quick'>): Promise<PushFigures> {
  const child = fork(PROGRAM, [quick ? '10000' : '100000'])
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the benchmark of pushes ended with ${code}`)
  })
  const [figures] = await Promise.race([once(child, 'message'), ended])
  return figures as PushFigures
}

export function pushTable(figures: PushFigures): string {
  const { phones, seconds, cpuSeconds, requests, pushes, connections, outcomes, wrong, again } = figures
  return [
    `${phones} phones woken in ${seconds.toFixed(1)} s: ${Math.round(phones / seconds)} pushes a second`,
    `${((cpuSeconds / phones) * 1e6).toFixed(0)} µs of CPU each (queue, database, gateway, HTTP/2)`,
    `${requests} requests on ${connections} connections; ${pushes} taken, ${again} of them again as their answer was lost`,
    Object.entries(outcomes)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
    wrong.length === 0
      ? 'none lost, none doubled'
      : `WRONG: ${wrong.slice(0, 10).join('; ')} … ${wrong.length}`,
  ].join('\n')
}
