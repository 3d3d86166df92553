// npm run bench: the unit of work (docs: a message from the sender's socket to disk, to the recipient, acknowledged and
// deleted), of our server and of its floors, in one run on one machine.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inventAccounts, registerAccounts } from './accounts.ts'
import { credentialsFigures, credentialsTable } from './credentials.ts'
import { filesFigures, filesTables } from './files.ts'
import { idleFigures } from './idle-connections.ts'
import type { Account, LoadResult } from './job.ts'
import { readOptions } from './options.ts'
import { type Load, PAIRS, PAYLOAD_BYTES, plan, profiledLoad, type Subject, WINDOW } from './plan.ts'
import { generate, LIMITS, pinned, type Server, startFloor, startOurs } from './processes.ts'
import { printProfile, profileIn } from './profile.ts'
import { pushFigures, pushTable } from './push.ts'
import { type LoadFigures, machine, progress, tables } from './report.ts'
import { storageFigures, storageTable } from './storage.ts'

type Side = { readonly server: Server; readonly accounts: readonly Account[] }

const options = readOptions()
const directory = mkdtempSync(join(tmpdir(), 'heliograph-bench-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

console.log(machine(pinned))
if (options.only !== 'files')
  console.log(`${PAIRS} pairs, ${PAYLOAD_BYTES} bytes each message, window ${WINDOW}, TLS 1.3`)
if (options.profile) await profile(options.profile)
else if (options.only === 'credentials') await credentials()
else if (options.only === 'storage') await storage()
else if (options.only === 'files') await files()
else if (options.only === 'push') await push()
else await bench()
process.exit()

async function bench(): Promise<void> {
  const loads = plan(options)
  const sides = new Map<Subject, Side>()
  for (const subject of new Set(loads.map((load) => load.subject))) sides.set(subject, await open(subject))
  const figures: LoadFigures[] = []
  for (const load of loads) figures.push(...(await run(load, sides.get(load.subject)!)))
  for (const { server } of sides.values()) await server.stop()
  const idle = options.idle ? await idleFigures(directory, [...sides.keys()], options) : []
  console.log(`\n${tables({ loads: figures, idle })}`)
  save({ loads: figures, idle })
}

async function credentials(): Promise<void> {
  const figures = await credentialsFigures(directory, options)
  console.log(`\n${credentialsTable(figures)}`)
  save({ credentials: figures })
}

async function storage(): Promise<void> {
  const figures = await storageFigures(directory, options)
  console.log(`\n${storageTable(figures)}`)
  save({ storage: figures })
}

async function files(): Promise<void> {
  const figures = await filesFigures(directory, options)
  console.log(`\n${filesTables(figures)}`)
  save({ files: figures })
}

async function push(): Promise<void> {
  const figures = await pushFigures(options)
  console.log(`\n${pushTable(figures)}`)
  save({ push: figures })
}

function save(figures: object): void {
  const all = { machine: machine(pinned), at: new Date().toISOString(), ...figures }
  if (options.json) writeFileSync(options.json, `${JSON.stringify(all, null, 2)}\n`)
}

async function open(subject: Subject, nodeOptions: readonly string[] = []): Promise<Side> {
  const place = join(directory, subject)
  if (subject !== 'ours')
    return { server: await startFloor(subject, place), accounts: inventAccounts(2 * PAIRS) }
  const { bucket, refill } = LIMITS.messages
  console.log(
    `limits.messages is set to bucket ${bucket}, refill ${refill} s: Signal's own would stop identified sends`,
  )
  const server = await startOurs(place, [...options.node, ...nodeOptions])
  const startMs = performance.now()
  const accounts = await registerAccounts(server.ready, 0, 2 * PAIRS)
  console.log(
    `${accounts.length} accounts registered in ${((performance.now() - startMs) / 1000).toFixed(1)} s`,
  )
  return { server, accounts }
}

async function run(load: Load, { server, accounts }: Side): Promise<LoadFigures[]> {
  const { subject, transport, mode, phases } = load
  const pairs = Array.from({ length: PAIRS }, (_, index) => ({
    sender: accounts[index]!,
    recipient: accounts[PAIRS + index]!,
  }))
  const { target } = server
  const job = {
    kind: 'load' as const,
    target,
    transport,
    mode,
    phases,
    pairs,
    window: WINDOW,
    payloadBytes: PAYLOAD_BYTES,
  }
  const { phases: results, rssMiB } = (await generate(job)) as LoadResult
  const measured = results.filter(({ phase }) => phase !== 'warm-up')
  for (const result of measured) console.log(progress(load, result))
  return measured.map((result) => ({ subject, transport, mode, result, rssMiB }))
}

async function profile(file: string): Promise<void> {
  const profiles = join(directory, 'profiles')
  const side = await open('ours', ['--cpu-prof', `--cpu-prof-dir=${profiles}`])
  await run(profiledLoad(options), side)
  await side.server.stop()
  const { main, threads } = profileIn(profiles)
  writeFileSync(file, JSON.stringify(main))
  printProfile('main thread', main, options.seconds + 1)
  for (const thread of threads) printProfile('a worker thread', thread)
}
