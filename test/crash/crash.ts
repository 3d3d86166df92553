// The crash test: the server is killed again and again, and has to keep its promise (design §6).
//   node test/crash/crash.ts [--rounds 100] [--seed N]
import { parseArgs } from 'node:util'
import { registerAccounts } from '../../bench/accounts.ts'
import { ServerProcess } from '../server-process.ts'
import { Dice } from './dice.ts'
import { Enrolment } from './enrolment.ts'
import { KeyTrade } from './key-trade.ts'
import type { LaneTraits, Way } from './lane.ts'
import { Ledger } from './ledger.ts'
import { Life, planOf, type World } from './life.ts'
import type { Person } from './person.ts'
import { RecordSync } from './record-sync.ts'

export type CrashOptions = {
  readonly rounds: number
  readonly seed: number
  readonly say: (line: string) => void
}

export type CrashResult = Ledger['totals'] & {
  readonly rounds: number
  readonly registrations: number
  /** Accounts that were looked through after a restart. */
  readonly audits: number
  readonly keyUploads: number
  readonly keysTaken: number
  readonly recordWrites: number
  readonly seconds: number
  readonly oldestUndoneMs: number
  readonly said: readonly string[]
}

const PEOPLE = 4
/** Numbers beside those of the people. */
const ENROLLED = ['+12025559001', '+12025559002', '+12025559003']
const KEY_OWNER = '+12025559004'
const RECORD_OWNER = '+12025559005'
const QUIET_WITHIN_LIVES = 5
const SAY_EVERY = 25
const FREE = { bucket: 1e9, refill: 0.000_001 }
/** Signal's limits would stop everybody after a minute's worth of messages. */
const YAML = JSON.stringify({
  limits: { messages: FREE, prekeys: FREE, registration: FREE, verificationSession: FREE },
})

/** Everybody writes to everybody, identified and sealed, on every way that there is. */
function lanesAmong(people: readonly Person[]): LaneTraits[] {
  const lanes: LaneTraits[] = []
  for (const { index: sender, http } of people)
    for (const { index: recipient } of people) {
      if (sender === recipient) continue
      const own: readonly Way[] = http === 'h1' ? ['h1'] : ['h2', 'grpc']
      const nameless: readonly Way[] = ['h1', 'h2', 'grpc']
      const pair = sender * PEOPLE + recipient
      lanes.push({ sender, recipient, sealed: false, way: own[pair % own.length]! })
      lanes.push({ sender, recipient, sealed: true, way: nameless[pair % nameless.length]! })
    }
  return lanes
}

async function peopleOn(server: ServerProcess): Promise<Person[]> {
  const accounts = await registerAccounts(server.ready, 0, PEOPLE)
  return accounts.map((account, index) => ({ index, account, http: index % 2 === 0 ? 'h1' : 'h2' }))
}

export async function crash({ rounds, seed, say }: CrashOptions): Promise<CrashResult> {
  const startedAt = performance.now()
  const dice = new Dice(seed)
  await using server = await ServerProcess.start({ yaml: YAML })
  const people = await peopleOn(server)
  await server.kill()
  const ledger = new Ledger(lanesAmong(people), say)
  const complain = (words: string) => ledger.complain(`life ${ledger.life}: ${words}`)
  const enrolment = new Enrolment(dice, complain, ENROLLED)
  const trade = new KeyTrade(complain, KEY_OWNER)
  const records = new RecordSync(dice, complain, RECORD_OWNER)
  const world: World = { server, people, ledger, dice, jobs: [enrolment, trade, records] }
  for (let round = 1; round <= rounds; round++) {
    await new Life(world, planOf(dice, people)).run()
    if (round % SAY_EVERY === 0) say(progress(round, ledger))
  }
  await drained(world)
  ledger.conclude()
  const { totals, oldestUndoneMs, complaints } = ledger
  const seconds = (performance.now() - startedAt) / 1000
  const { registered, audits } = enrolment
  const { uploads, taken } = trade
  const beside = {
    registrations: registered,
    audits,
    keyUploads: uploads,
    keysTaken: taken,
    recordWrites: records.writes,
  }
  return { ...totals, ...beside, rounds, seconds, oldestUndoneMs, said: complaints }
}

const progress = (round: number, { totals }: Ledger): string =>
  `${round} kills: ${totals.accepted} answered, ${totals.delivered} delivered, ${totals.complaints} complaints`

/** Everybody takes what is left, until nothing comes any more. */
async function drained(world: World): Promise<void> {
  const plan = planOf(world.dice, world.people)
  for (let life = 0; life < QUIET_WITHIN_LIVES; life++)
    if ((await new Life(world, plan).drain()) === 0) return
  world.ledger.complain(`something still came in life ${QUIET_WITHIN_LIVES} without a sender`)
}

function tell(result: CrashResult): string {
  const { rounds, seconds, oldestUndoneMs, said } = result
  return `
${rounds} kills in ${seconds.toFixed(0)} s
  sent                ${result.sent}
  answered with 200   ${result.accepted}
  delivered           ${result.delivered}
  lost                ${result.lost}
  again               ${result.againUnacknowledged} that nobody had acknowledged, ${result.againAfterAck} whose acknowledgement
                      the kill undid, the oldest ${oldestUndoneMs.toFixed(0)} ms before it
  receipts            ${result.receipts}
  registrations       ${result.registrations}; ${result.audits} times an account was looked through after a restart
  pre-keys            ${result.keyUploads} uploads, ${result.keysTaken} one-time keys handed out
  records             ${result.recordWrites} writes
  complaints          ${result.complaints}
${said.map((words) => `    ${words}\n`).join('')}`
}

if (import.meta.main) {
  // `exit` takes the server along.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { rounds: text, seed: text } })
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  const say = (line: string) => process.stdout.write(`${line}\n`)
  say(`seed ${seed}`)
  const result = await crash({ rounds: Number(values.rounds ?? 100), seed, say })
  say(tell(result))
  process.exitCode = result.complaints > 0 ? 1 : 0
}
