// The benchmark of pushes (bench/push.ts): so many phones are woken, and what it took is told to the parent process.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { PushFigures } from '../../bench/push.ts'
import type { PushConfig, Tally } from './faulty-providers.ts'
import { ManyPhones } from './many-phones.ts'

const figures = await figuresOf(Number(process.argv[2]))
process.send!(figures, () => process.exit())

async function figuresOf(count: number): Promise<PushFigures> {
  const child = fork(join(import.meta.dirname, 'providers-process.ts'), [String(count)])
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
  const wrong = phones.wrong(tally)
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

/** What tests hand to helpers, for something that is no test. */
function endless() {
  const closing: (() => unknown)[] = []
  const context = { name: 'bench', after: (close: () => unknown) => closing.push(close) }
  const close = async () => {
    for (const one of closing) await one()
  }
  return { context: context as unknown as TestContext, close }
}
