// The promise of design §6 under interleavings that nobody thought of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openRules, type Rules } from '../../../test/chat-rules.ts'
import { addPerson, connect, send, stored } from '../../../test/conversants.ts'
import type { Asked, FakeConnection } from '../../../test/fake-connection.ts'
import type { Hold } from '../../../test/watched-sql.ts'
import type { Account } from '../accounts/account.ts'
import { MAX_IN_FLIGHT } from './delivery.ts'

const PAGES = /ORDER BY seq LIMIT/

/** The wall clock steps, as a day of summer time or a corrected battery makes it (case X1). */
const JUMPS_MS = [-86_400_000, -3_600_000, 3_600_000, 86_400_000]
const jump = (rules: Rules, ms: number) => rules.clock.set(rules.clock.nowMs() + ms)

const share = fc.double({ min: 0, max: 1, noNaN: true })
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('send' as const), count: fc.integer({ min: 1, max: 90 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('answer' as const), share }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), share }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 400 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('jump' as const), ms: fc.constantFrom(...JUMPS_MS) }),
  },
  {
    weight: 8,
    arbitrary: fc
      .constantFrom(
        ...(['congest', 'drain', 'settle', 'settle', 'hold', 'release', 'end', 'connect'] as const),
      )
      .map((what) => ({ do: what })),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** One device, its sockets one after the other, and what was acknowledged on any of them. */
class Device {
  readonly sockets: FakeConnection[] = []
  readonly acknowledged = new Set<number>()
  readonly #answered = new Set<Asked>()
  readonly #rules: Rules
  readonly #account: Account
  #frozenAt = new Map<FakeConnection, number>()

  readonly #getsReceipts: boolean

  /** `getsReceipts`: a receipt that was offered and not answered comes again. */
  constructor(rules: Rules, account: Account, getsReceipts = false) {
    this.#rules = rules
    this.#account = account
    this.#getsReceipts = getsReceipts
  }

  get socket(): FakeConnection | undefined {
    return this.sockets.at(-1)
  }

  connect(): void {
    this.sockets.push(connect(this.#rules, this.#account))
  }

  /** Answers some of what waits for an answer: not always from its beginning. */
  answer(share: number, status: number): void {
    const { socket } = this
    if (!socket?.isOpen) return
    const waiting = socket.asked.filter((asked) => !this.#answered.has(asked))
    const count = status === 200 ? Math.ceil(waiting.length * share) : Math.min(1, waiting.length)
    const first = Math.floor((waiting.length - count) * (share > 0.7 ? 1 : 0))
    for (const asked of waiting.slice(first, first + count)) {
      this.#answered.add(asked)
      if (status === 200 && asked.path.endsWith('message'))
        this.acknowledged.add(asked.envelope.clientTimestamp)
      if (status !== 200 && asked.path.endsWith('message')) this.#frozenAt.set(socket, socket.messages.length)
      socket.answer(asked, status)
    }
  }

  check(): void {
    for (const socket of this.sockets) {
      const { timestamps } = socket
      const rising = timestamps.every((one, index) => index === 0 || one > timestamps[index - 1]!)
      assert.ok(rising || this.#getsReceipts, `doubled or out of order: ${timestamps.join(' ')}`)
      assert.ok(socket.emptySaid <= 1)
      const frozenAt = this.#frozenAt.get(socket)
      if (frozenAt !== undefined) assert.equal(socket.messages.length, frozenAt)
      const unanswered = socket.messages.filter((asked) => !this.#answered.has(asked))
      if (socket.isOpen) assert.ok(unanswered.length <= MAX_IN_FLIGHT)
    }
  }
}

async function play(rules: Rules, steps: readonly Step[]): Promise<void> {
  const alice = await addPerson(rules)
  const device = new Device(rules, alice)
  let sent = 0
  let hold: Hold | undefined
  const sending: Promise<void>[] = []
  const release = () => {
    hold?.release()
    hold = undefined
  }
  for (const one of steps) {
    if (one.do === 'send')
      for (let index = 0; index < one.count; index++)
        sending.push(send(rules, { to: alice, timestampMs: ++sent }))
    else if (one.do === 'answer') device.answer(one.share, 200)
    else if (one.do === 'refuse') device.answer(one.share, 500)
    else if (one.do === 'pass') rules.clock.advance(one.ms)
    else if (one.do === 'jump') jump(rules, one.ms)
    else if (one.do === 'congest' && device.socket) device.socket.congested = true
    else if (one.do === 'drain') device.socket?.drain()
    else if (one.do === 'hold') hold ??= rules.sql.hold(PAGES)
    else if (one.do === 'release') release()
    else if (one.do === 'end') device.socket?.end()
    else if (one.do === 'connect') device.connect()
    else if (one.do === 'settle' && !hold) await rules.sql.idle()
    device.check()
  }
  release()
  await Promise.all(sending)
  await rules.sql.idle()
  const all = Array.from({ length: sent }, (_, index) => index + 1)
  const kept = new Set(await stored(rules, alice))
  for (const one of all) assert.ok(kept.has(one) || device.acknowledged.has(one), `${one} was lost`)
  await finish(rules, device)
  assert.deepEqual(
    [...device.acknowledged].sort((a, b) => a - b),
    all,
  )
  assert.deepEqual(await stored(rules, alice), [])
}

/** A last connection on which everything is answered. */
async function finish({ sql, clock }: Rules, device: Device): Promise<void> {
  device.connect()
  for (let asked = -1; asked !== device.socket!.asked.length; ) {
    asked = device.socket!.asked.length
    await sql.idle()
    device.answer(0.5, 200)
    device.answer(1, 200)
    device.check()
  }
  assert.equal(device.socket!.emptySaid, 1)
  clock.advance(999)
  await sql.idle()
}

test('whatever happens in whatever order, every message is delivered until it is acknowledged, in order, and never twice on a connection', async (t) => {
  const rules = await openRules(t)
  const steps = fc.array(step, { minLength: 5, maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(steps, (played) => play(rules, [{ do: 'connect' }, ...played])),
    { numRuns: 150, endOnFailure: true },
  )
})

const receiptStep = fc.oneof(
  { weight: 4, arbitrary: fc.constant('send' as const) },
  { weight: 4, arbitrary: fc.constant('acknowledge' as const) },
  { weight: 3, arbitrary: fc.constant('answer' as const) },
  { weight: 3, arbitrary: fc.constant('settle' as const) },
  { weight: 2, arbitrary: fc.constant('pass' as const) },
  { weight: 1, arbitrary: fc.constantFrom('refuse', 'end', 'connect', 'forget', 'jump ahead', 'jump back') },
)

test('whatever happens in whatever order, a message leaves its queue only when its receipt is safe', async (t) => {
  const rules = await openRules(t)
  await fc.assert(
    fc.asyncProperty(fc.array(receiptStep, { minLength: 5, maxLength: 60 }), async (steps) => {
      const [alice, bob] = [await addPerson(rules), await addPerson(rules)]
      const [reader, sender] = [new Device(rules, alice), new Device(rules, bob, true)]
      reader.connect()
      sender.connect()
      await rules.sql.idle()
      let sent = 0
      for (const what of steps) {
        if (what === 'send') await send(rules, { to: alice, from: bob, timestampMs: ++sent })
        else if (what === 'acknowledge') reader.answer(0.3, 200)
        else if (what === 'answer') sender.answer(0.4, 200)
        else if (what === 'refuse') sender.answer(0.4, 500)
        else if (what === 'pass') rules.clock.advance(90)
        else if (what === 'jump ahead') jump(rules, 86_400_000)
        else if (what === 'jump back') jump(rules, -86_400_000)
        else if (what === 'end') sender.socket?.end()
        else if (what === 'connect') sender.connect()
        else if (what === 'forget') rules.bus.publish('accounts', { type: bob.aci })
        else await rules.sql.idle()
        const [letters, receipts] = [await stored(rules, alice), await stored(rules, bob)]
        for (let one = 1; one <= sent; one++)
          assert.ok(
            letters.includes(one) || receipts.includes(one) || sender.acknowledged.has(one),
            `neither message nor receipt of ${one}`,
          )
      }
      await finish(rules, reader)
      await rules.receipts.drain()
      await finish(rules, sender)
      assert.equal(sender.acknowledged.size, sent)
      assert.deepEqual(await stored(rules, alice), [])
    }),
    { numRuns: 25, endOnFailure: true },
  )
})
