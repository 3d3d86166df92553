// What groups and records cost, one operation after the other, and what a loop of each does to the messages of others: the same load
// without and with it, at the same rate.
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { registerAccounts } from './accounts.ts'
import { basic } from './generator/connect.ts'
import type {
  Account,
  LoadResult,
  Operations,
  Phase,
  PhaseResult,
  StorageResult,
  StorageService,
  StorageTask,
} from './job.ts'
import type { Options } from './options.ts'
import { PAIRS, PAYLOAD_BYTES, RATES, WINDOW } from './plan.ts'
import { generate, type Ready, type Server, startOurs } from './processes.ts'
import { milliseconds, section, warnings } from './report.ts'
import { parametersIn, prepareGroup } from './storage-groups.ts'

const GROUPS: readonly number[] = [50, 1000]
/** More than the lists that the server remembers endorsements of, when each leaves and comes back (64). */
const COMING_AND_GOING = 40
export const RECORD_TASKS = [
  { name: 'records: first sync of 1000', kind: 'sync', records: 1000 },
  { name: 'records: write 5 of 1000', kind: 'write', records: 5 },
  { name: 'records: read 100', kind: 'read', records: 100 },
  { name: 'records: read 1000', kind: 'read', records: 1000 },
] as const

export type StorageFigures = {
  readonly alone: Operations
  readonly without: PhaseResult
  readonly with: PhaseResult
}

export async function storageFigures(directory: string, options: Options): Promise<StorageFigures[]> {
  const place = join(directory, 'storage')
  const server = await startOurs(place, options.node)
  try {
    const accounts = await registerAccounts(server.ready, 0, 2 * PAIRS + RECORD_TASKS.length)
    const storage = await prepareStorage(place, server, GROUPS, accounts.slice(2 * PAIRS))
    const { operations } = (await generate({
      kind: 'storage',
      target: server.target,
      storage,
      seconds: options.seconds,
    })) as StorageResult
    const perSecond = RATES[0]!
    const rate: Phase = { kind: 'rate', perSecond, seconds: options.seconds }
    const phases = Array.from({ length: options.rounds }, () => storage.tasks)
      .flat()
      .flatMap(({ name }): Phase[] => [rate, { ...rate, beside: name }])
    const { phases: results } = (await generate({
      kind: 'load',
      target: server.target,
      transport: options.transport ?? 'h1',
      mode: options.mode ?? 'sealed',
      pairs: Array.from({ length: PAIRS }, (_, index) => ({
        sender: accounts[index]!,
        recipient: accounts[PAIRS + index]!,
      })),
      storage,
      window: WINDOW,
      payloadBytes: PAYLOAD_BYTES,
      phases: [{ kind: 'warm-up', seconds: options.quick ? 1 : 2 }, ...phases],
    })) as LoadResult
    const measured = results.slice(1)
    const period = 2 * operations.length
    const median = (at: number) => medianOf(measured.filter((_, index) => index % period === at))
    return operations.map((alone, at) => ({ alone, without: median(2 * at), with: median(2 * at + 1) }))
  } finally {
    await server.stop()
  }
}

/** Of several rounds, the one in the middle by its p99 stands for all. */
function medianOf(results: readonly PhaseResult[]): PhaseResult {
  const sorted = results.toSorted((a, b) => a.ackMs.p99 - b.ackMs.p99)
  return sorted[Math.floor(sorted.length / 2)]!
}

/** A group of each size; one account for each task on records. */
export async function prepareStorage(
  place: string,
  { ready }: Server,
  sizes: readonly number[],
  accounts: readonly Account[],
): Promise<StorageService> {
  const service = { origin: new URL(ready.urls.storage).origin, caPem: ready.tls.caPem }
  const parameters = parametersIn(join(place, 'data', 'secrets', 'secrets.json'))
  const tasks: StorageTask[] = []
  for (const size of sizes) {
    const { authorization, others } = await prepareGroup(parameters, service, size)
    tasks.push(
      { name: `group of ${size}: fetch`, kind: 'fetch', authorization },
      { name: `group of ${size}: change`, kind: 'title', authorization },
      {
        name: `group of ${size}: endorsed anew`,
        kind: 'membership',
        authorization,
        others: others.slice(-COMING_AND_GOING),
      },
    )
  }
  for (const [index, task] of RECORD_TASKS.entries())
    tasks.push({ ...task, authorization: await recordsAuthorization(ready, accounts[index]!) })
  return { ...service, tasks }
}

/** Credentials for the records of an account, good for the day. */
function recordsAuthorization({ urls, tls }: Ready, account: Account): Promise<string> {
  const headers = { authorization: basic(account) }
  const given = { headers, agent: false as const, ca: readFileSync(tls.caPem) }
  return new Promise((resolve, reject) => {
    const asked = request(`${urls.chat}/v1/storage/auth`, given, async (answer) => {
      const chunks: Buffer[] = []
      for await (const chunk of answer) chunks.push(chunk)
      const { username, password } = JSON.parse(Buffer.concat(chunks).toString())
      resolve(`Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`)
    })
    asked.on('error', reject)
    asked.end()
  })
}

export function storageTable(figures: readonly StorageFigures[]): string {
  const rows = figures.map(({ alone, without, with: beside }) => {
    const done = beside.beside!
    const refused = alone.refused + done.refused
    return [
      alone.name,
      alone.perSecond.toFixed(0),
      milliseconds(alone.tookMs.p50),
      milliseconds(alone.tookMs.p99),
      alone.cpuSecondsPer1000!.toFixed(2),
      done.perSecond.toFixed(0),
      milliseconds(without.ackMs.p99),
      milliseconds(beside.ackMs.p99),
      `× ${(beside.ackMs.p99 / without.ackMs.p99).toFixed(2)}`,
      milliseconds(without.endToEndMs.p99),
      milliseconds(beside.endToEndMs.p99),
      `× ${(beside.endToEndMs.p99 / without.endToEndMs.p99).toFixed(2)}`,
      `${refused > 0 ? `REFUSED ${refused} ` : ''}${warnings(without)}${warnings(beside)}`,
    ]
  })
  const head = ['', 'ops/s', 'p50', 'p99', 'CPU-s/1000', 'beside: ops/s', 'ack p99', 'with', '', 'end p99']
  const title = `Groups and records, one after the other; messages at ${RATES[0]}/s without and with them (open loop)`
  return section(title, [[...head, 'with', '', ''], ...rows])
}
