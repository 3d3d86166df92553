// Memory and CPU of connections that are only held, each server fresh from its start.
import { join } from 'node:path'
import { inventAccounts, registerAccounts } from './accounts.ts'
import type { Account, IdleResult } from './job.ts'
import type { Options } from './options.ts'
import { type Floor, PAIRS, type Subject } from './plan.ts'
import { generate, type Server, startFloor, startOurs } from './processes.ts'
import type { IdleFigures } from './report.ts'

const CONNECTIONS = 5000
const QUICK_CONNECTIONS = 1000
const REGISTER_WITHIN_SECONDS = 90
const SAMPLE = 100

export async function idleFigures(
  directory: string,
  subjects: readonly Subject[],
  { quick }: Options,
): Promise<IdleFigures[]> {
  const count = quick ? QUICK_CONNECTIONS : CONNECTIONS
  const chosen = subjects.filter((subject) => subject === 'ours' || subject === 'stored')
  const figures: IdleFigures[] = []
  for (const subject of chosen) {
    const place = join(directory, `idle-${subject}`)
    figures.push(
      subject === 'ours'
        ? await weighOurs(place, count, quick)
        : await weighFloor(subject, place, count, quick),
    )
  }
  return figures
}

async function weighFloor(floor: Floor, place: string, count: number, quick: boolean): Promise<IdleFigures> {
  const server = await startFloor(floor, place)
  return weigh(server, inventAccounts(count), 'with names that nobody checks', quick)
}

/** An account's newer socket displaces its older, so that each connection needs an account of its own. */
async function weighOurs(place: string, count: number, quick: boolean): Promise<IdleFigures> {
  const registering = await startOurs(place)
  const accounts: (Account | undefined)[] = await registerInTime(registering, count)
  const strangers = count - accounts.length
  await registering.stop()
  const note = strangers > 0 ? `${accounts.length} authenticated, ${strangers} not` : 'authenticated'
  while (accounts.length < count) accounts.push(undefined)
  return weigh(await startOurs(place), accounts, note, quick)
}

async function registerInTime({ ready }: Server, count: number): Promise<Account[]> {
  const startMs = performance.now()
  const first = 2 * PAIRS
  const sample = await registerAccounts(ready, first, first + SAMPLE)
  const secondsEach = (performance.now() - startMs) / 1000 / SAMPLE
  if (secondsEach * count > REGISTER_WITHIN_SECONDS) return sample
  return [...sample, ...(await registerAccounts(ready, first + SAMPLE, first + count))]
}

async function weigh(
  server: Server,
  accounts: readonly (Account | undefined)[],
  note: string,
  quick: boolean,
): Promise<IdleFigures> {
  const settleSeconds = quick ? 1 : 4
  const { target } = server
  const result = await generate({ kind: 'idle', target, transport: 'h1', accounts, settleSeconds })
  await server.stop()
  return { ...(result as IdleResult), subject: target.name, note }
}
