// Pushes through the queue, the gateway and the providers' code to stand-ins of Google and Apple that fail now and then: how many a
// second, what each costs, and whether one was lost or came twice.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { PushConfig, Tally } from '../test/push/faulty-providers.ts'
import { ManyPhones } from '../test/push/many-phones.ts'
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

export async function pushFigures({ quick }: Pick<Options, 'quick'>): Promise<PushFigures> {
  const count = quick ? 10_000 : 100_000
  const child = fork(join(import.meta.dirname, 'push-providers.ts'), [String(count)])
  const [config] = (await once(child, 'message')) as [PushConfig]
  const { context, close } = endless()
  const phones = await ManyPhones.open(context, config, count)
  await phones.write()
  console.log(`${count} phones have something to be woken for`)
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  await phones.wake()
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const tallied = once(child, 'message')
  child.send('tally')
  const [tally] = (await tallied) as [Tally]
  const wrong = await phones.wrong(tally)
  await close()
  const pushes = Object.values(tally.taken).reduce((sum, taken) => sum + taken, 0)
  const counts = phones.counters.snapshot()
  return {
    ...{
      phones: count,
      seconds,
      pushes,
      wrong,
      again: pushes - (counts['push.fcm.sent'] ?? 0) - (counts['push.apn.sent'] ?? 0),
    },
    ...{ cpuSeconds: (user + system) / 1e6, requests: tally.requests, connections: tally.connections },
    outcomes: counts,
  }
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

/** What tests hand to helpers, for something that is no test. */
function endless() {
  const closing: (() => unknown)[] = []
  const context = { name: 'bench', after: (close: () => unknown) => closing.push(close) }
  const close = async () => {
    for (const one of closing) await one()
  }
  return { context: context as unknown as TestContext, close }
}
