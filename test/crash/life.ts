// One life of the server: people connect, talk, and the process is killed in the middle of it.
import { setTimeout as delay } from 'node:timers/promises'
import type { Target } from '../../bench/job.ts'
import { Https } from '../client/https.ts'
import type { ServerProcess } from '../server-process.ts'
import { within } from '../within.ts'
import type { Dice } from './dice.ts'
import type { Ledger } from './ledger.ts'
import { Line } from './line.ts'
import { Listener, type Mood, type Person } from './person.ts'
import { Sender } from './sender.ts'
import type { SideJob } from './side-job.ts'

export type World = {
  readonly server: ServerProcess
  readonly people: readonly Person[]
  readonly ledger: Ledger
  readonly dice: Dice
  readonly jobs: readonly SideJob[]
}

/** When the kill comes: while the server starts, while people connect and drain, under load, or in a large write. */
export type Plan = {
  readonly point: 'starting' | 'draining' | 'talking' | 'writing'
  readonly afterMs: number
  /** In a large write: how many go before it, and how long it has been under way. */
  readonly write: { readonly before: number; readonly afterMs: number }
  /** Under load: kill at this answer, if it comes before the time is up. */
  readonly afterAnswers: number
  readonly present: ReadonlySet<number>
  readonly moods: readonly Mood[]
  readonly mostPerLane: number
}

const START_MS = 450
const DRAIN_MS = 80
const TALK_MS = 250
const WRITE_MS = 8
const WRITES_BEFORE = 4
const LONG_MS = { least: 1_150, more: 250 }
const MOST_ANSWERS = 1_000

export function planOf(dice: Dice, people: readonly Person[]): Plan {
  const present = new Set(people.filter(() => dice.chance(0.8)).map(({ index }) => index))
  const moods = people.map((): Mood => {
    const luck = dice.throw()
    if (luck < 0.6) return 'prompt'
    if (luck < 0.75) return 'slow'
    return luck < 0.9 ? 'careless' : 'silent'
  })
  const write = { before: dice.below(WRITES_BEFORE), afterMs: dice.throw() * WRITE_MS }
  const always = { present, moods, write, mostPerLane: 400, afterAnswers: Number.POSITIVE_INFINITY }
  const luck = dice.throw()
  if (luck < 0.12) return { ...always, point: 'starting', afterMs: 5 + dice.below(START_MS) }
  if (luck < 0.24) return { ...always, point: 'draining', afterMs: dice.below(DRAIN_MS) }
  // Long enough for the promise of one second to come due.
  if (luck < 0.3)
    return {
      ...always,
      point: 'talking',
      afterMs: LONG_MS.least + dice.below(LONG_MS.more),
      mostPerLane: 40 + dice.below(100),
    }
  if (luck < 0.45) return { ...always, point: 'writing', afterMs: 2 * TALK_MS }
  const afterAnswers = dice.chance(0.5) ? 1 + dice.below(MOST_ANSWERS) : Number.POSITIVE_INFINITY
  return { ...always, point: 'talking', afterMs: dice.below(TALK_MS), afterAnswers }
}

const targetOf = ({ pid, port, ready }: ServerProcess): Target => ({
  name: 'heliograph',
  frames: 'signal',
  receipts: true,
  core: undefined,
  caPem: ready.tls.caPem,
  pid,
  port,
})

const NOBODY = { message: () => {}, queueEmpty: () => {} }

/** The server is down before, and down again afterwards. */
export class Life {
  readonly #world: World
  readonly #plan: Plan
  readonly #lines: Line[] = []
  readonly #senders: Sender[] = []
  readonly #enough = Promise.withResolvers<void>()
  /** Rejects when the server is gone: a handshake that was cut off may never end by itself. */
  readonly #gone = Promise.withResolvers<never>()
  #answers = 0
  #writes = 0
  #isOver = false

  constructor(world: World, plan: Plan) {
    this.#world = world
    this.#plan = plan
    this.#gone.promise.catch(() => {})
  }

  async run(): Promise<void> {
    const { server } = this.#world
    const { point, afterMs } = this.#plan
    const started = server.restart(0)
    if (point === 'starting') {
      started.catch(() => {}) // it is killed before it is ready
      await delay(afterMs)
      if (!server.isRunning) await started
      return this.#kill([])
    }
    await started
    await using https = Https.open(server.ready, 2)
    const jobs = this.#world.jobs.map((job) => this.#work(job, https))
    const connected = this.#connect()
    if (point === 'talking') await connected
    const stop = new AbortController()
    await Promise.race([this.#enough.promise, delay(afterMs, undefined, { signal: stop.signal })])
    stop.abort()
    await this.#kill([connected, ...jobs])
  }

  /** Everybody comes, takes everything that waits, and goes; the server stops in good order. Gives what came in. */
  async drain(): Promise<number> {
    const { server, ledger, people } = this.#world
    await server.restart(0)
    const listeners = people.map((person) => new Listener(person, ledger, people, 'prompt'))
    const lines = await Promise.all(listeners.map((listener) => listener.open(targetOf(server))))
    await within(Promise.all(listeners.map(({ empty }) => empty.promise)), 'every queue to be empty')
    ledger.killed(performance.now())
    const code = await server.kill('SIGTERM')
    if (code !== 0) ledger.complain(`the server stopped with ${code}`)
    await Promise.all(lines.map((line) => line.closed))
    return listeners.reduce((sum, { heard }) => sum + heard, 0)
  }

  #ripe(): void {
    const { point, write } = this.#plan
    if (point === 'writing' && this.#writes++ === write.before)
      setTimeout(this.#enough.resolve, write.afterMs)
  }

  async #work(job: SideJob, https: Https): Promise<void> {
    const { server, ledger } = this.#world
    const call: Https['call'] = (...request) => Promise.race([https.call(...request), this.#gone.promise])
    const desk = { server, call, isOver: () => this.#isOver, ripe: () => this.#ripe() }
    await job.run(desk).catch((error: Error) => {
      if (!this.#isOver) ledger.complain(`a living server failed a request: ${error.message}`)
    })
  }

  async #kill(underWay: readonly Promise<unknown>[]): Promise<void> {
    const { server, ledger } = this.#world
    for (const sender of this.#senders) sender.stop()
    this.#isOver = true
    const killedAtMs = performance.now()
    const gone = server.kill()
    ledger.killed(killedAtMs)
    await gone
    this.#gone.reject(new Error('the server was killed'))
    await within(Promise.allSettled(underWay), 'what the kill cut off')
    await within(Promise.all(this.#lines.map((line) => line.closed)), 'the connections to close')
  }

  /** Whoever is present connects and begins to talk; nobody waits for another. */
  async #connect(): Promise<void> {
    const { people, ledger, server } = this.#world
    const { present, moods, point } = this.#plan
    const target = targetOf(server)
    const anonymous = {
      h1: this.#keep(Line.open(target, 'h1', undefined, NOBODY)),
      h2: this.#keep(Line.open(target, 'h2', undefined, NOBODY)),
    }
    const come = async (person: Person) => {
      const listener = new Listener(person, ledger, people, moods[person.index]!)
      const own = await this.#keep(listener.open(target))
      const nameless = { h1: await anonymous.h1, h2: await anonymous.h2 }
      if (point !== 'draining' && !this.#isOver) this.#begin(person, own, nameless)
    }
    const coming = people.filter(({ index }) => present.has(index)).map(come)
    const results = await Promise.allSettled([...coming, anonymous.h1, anonymous.h2])
    const failed = results.find((result) => result.status === 'rejected')
    if (failed && !this.#isOver) ledger.complain(`a living server took no connection: ${failed.reason}`)
  }

  #begin(person: Person, own: Line, nameless: Readonly<Record<'h1' | 'h2', Line>>): void {
    const { ledger, people } = this.#world
    for (const lane of ledger.lanes) {
      const { sender, recipient, sealed, way } = lane.traits
      if (sender !== person.index) continue
      const line = sealed ? nameless[way === 'h1' ? 'h1' : 'h2'] : own
      const to = people[recipient]!.account
      const one = new Sender(lane, ledger, line, person.account, to, () => this.#answered())
      this.#senders.push(one)
      one.start(this.#plan.mostPerLane)
    }
  }

  #answered(): void {
    if (++this.#answers >= this.#plan.afterAnswers) this.#enough.resolve()
  }

  async #keep(opening: Promise<Line>): Promise<Line> {
    const line = await Promise.race([opening, this.#gone.promise])
    this.#lines.push(line)
    return line
  }
}
