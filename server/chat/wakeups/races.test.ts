// Whatever happens to the devices of an account, in whatever order, what is promised of waking them holds.
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { openRules, type Rules } from '../../../test/chat-rules.ts'
import { connect, copyOf, deviceQueue, stored } from '../../../test/conversants.ts'
import { forEachEngine } from '../../../test/engines.ts'
import type { FakeConnection } from '../../../test/fake-connection.ts'
import { sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { uuidToBytes } from '../../../wire/types.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { ProviderHealth, Push, Pushed, PushGateway } from '../../kit/push-gateway.ts'
import { type Account, deviceOf } from '../accounts/account.ts'
import { BACKGROUND_EVERY_MS, URGENT_EVERY_MS } from './wakeups.ts'

const DEVICES = [1, 2]
/** For what a device left behind: one a minute later, and three reminders. */
const PUSHES = 4
const SECOND_MS = 1_000
const TIMES = [1, SECOND_MS, 59 * SECOND_MS, 60_000, 61_000, 5 * 60_000, 20 * 60_000, 3 * DAY_MS, 14 * DAY_MS]
const OUTCOMES: readonly Pushed[] = [
  { kind: 'later', afterMs: 0 },
  { kind: 'later', afterMs: 90_000 },
  { kind: 'refused', reason: 'a test' },
  { kind: 'unregistered' },
]

const onDevice = { device: fc.constantFrom(...DEVICES), turns: fc.nat(12) }
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('urgent' as const), ...onDevice }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('background' as const), ...onDevice }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('connect' as const), ...onDevice }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fetch' as const), ...onDevice }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('disconnect' as const), ...onDevice }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('token' as const), ...onDevice }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('hold' as const), ...onDevice }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), ...onDevice }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const), ...onDevice }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      outcome: fc.constantFrom(...OUTCOMES),
      ...onDevice,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(...TIMES), ...onDevice }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

type Sent = { readonly urgent: boolean; readonly atMs: number }

class Phone {
  readonly id: number
  socket: FakeConnection | undefined
  readonly sent: Sent[] = []
  /** Pushes that went out since a reader left, or an urgent message came. */
  sinceNews = 0
  /** A provider said that it will never take it; the next message tries again. */
  isGivenUp = false
  token = ''
  /** Timestamps of its urgent messages. */
  readonly urgent = new Set<number>()

  constructor(id: number) {
    this.id = id
  }
}

class PhoneGateway implements PushGateway {
  readonly phones = new Map<string, { phone: Phone; isRead: () => boolean }>()
  readonly answers: Pushed[] = []
  readonly complaints: string[] = []
  gate = Promise.withResolvers<void>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
    this.gate.resolve()
  }

  async push({ to, notice }: Push): Promise<Pushed> {
    const known = to.service === 'web' ? undefined : this.phones.get(to.token)
    if (!known) {
      this.complaints.push('a push to an account that is gone')
      return { kind: 'unregistered' }
    }
    const { phone, isRead } = known
    if (isRead()) this.complaints.push(`device ${phone.id} was woken while it reads`)
    const urgent = notice.kind === 'message' && notice.urgent
    const atMs = this.#now()
    const pushed = this.answers.shift() ?? { kind: 'sent' }
    if (pushed.kind === 'sent') this.#note(phone, { urgent, atMs })
    await this.gate.promise
    const isGone = pushed.kind === 'unregistered' && to.service !== 'web' && to.token === phone.token
    if (pushed.kind === 'refused' || isGone) phone.isGivenUp = true
    return pushed
  }

  async health(): Promise<readonly ProviderHealth[]> {
    return []
  }

  #note(phone: Phone, sent: Sent): void {
    const before = phone.sent.findLast(({ urgent }) => urgent === sent.urgent)
    const leastMs = sent.urgent ? URGENT_EVERY_MS : BACKGROUND_EVERY_MS
    if (before && sent.atMs - before.atMs < leastMs)
      this.complaints.push(
        `device ${phone.id} was woken ${sent.atMs - before.atMs} ms later again (urgent: ${sent.urgent})`,
      )
    phone.sent.push(sent)
    if (sent.urgent) phone.sinceNews++
  }
}

class Day {
  readonly #rules: Rules
  readonly #gateway: PhoneGateway
  readonly #phones = new Map(DEVICES.map((id) => [id, new Phone(id)]))
  readonly #account: Account
  #token = 0
  #timestamp = 0
  /** Messages on their way to the disk. */
  readonly #writing: Promise<void>[] = []

  constructor(rules: Rules, gateway: PhoneGateway) {
    this.#rules = rules
    this.#gateway = gateway
    const devices = DEVICES.map((id) =>
      sampleDevice({ id, fetchesMessages: false, fcmToken: this.#newToken(id) }),
    )
    this.#account = sampleAccount({ devices })
  }

  async live(steps: readonly Step[]): Promise<number> {
    assert.ok(await this.#rules.accounts.put(this.#account, []))
    for (const step of steps) {
      await this.#take(step)
      for (let turn = 0; turn < step.turns; turn++) await setImmediate()
    }
    await this.#settle()
    await this.end()
    assert.deepEqual(this.#gateway.complaints, [])
    return [...this.#phones.values()].reduce((sum, { sent }) => sum + sent.length, 0)
  }

  #newToken(id: number): string {
    const token = `${id}.${++this.#token}`
    const phone = this.#phones.get(id)!
    phone.token = token
    const isRead = () => this.#rules.queues.isRead(deviceQueue(this.#account, deviceOf(this.#account, id)!))
    this.#gateway.phones.set(token, { phone, isRead })
    return token
  }

  async #take(step: Step): Promise<void> {
    const phone = this.#phones.get(step.device)!
    switch (step.kind) {
      case 'urgent':
      case 'background':
        this.#writing.push(this.#write(phone, step.kind === 'urgent'))
        return
      case 'connect': {
        if (phone.socket) return
        const account = (await this.#rules.accounts.find(this.#account.aci))!
        phone.socket = connect(this.#rules, account, { device: deviceOf(account, phone.id)! })
        return
      }
      case 'fetch':
        return this.#fetch(phone)
      case 'disconnect':
        return this.#disconnect(phone)
      case 'token':
        return this.#giveToken(phone)
      case 'hold':
        this.#gateway.gate.resolve()
        this.#gateway.gate = Promise.withResolvers()
        return
      case 'release':
        return this.#gateway.gate.resolve()
      case 'settle':
        return this.#settle()
      case 'answer':
        return void this.#gateway.answers.push(step.outcome)
      case 'pass':
        await this.#rules.sql.idle()
        return this.#rules.clock.advance(step.ms)
    }
  }

  async #write(phone: Phone, urgent: boolean): Promise<void> {
    const { accounts } = this.#rules
    const account = (await accounts.find(this.#account.aci))!
    const device = deviceOf(account, phone.id)!
    const letter = { to: account, timestampMs: ++this.#timestamp, urgent }
    if (urgent) phone.urgent.add(letter.timestampMs)
    if (urgent && device.fcmToken) {
      phone.sinceNews = 0
      phone.isGivenUp = false
    }
    await this.#rules.queues.add([copyOf(this.#rules, letter, device)])
  }

  async #disconnect(phone: Phone): Promise<void> {
    if (!phone.socket) return
    phone.sinceNews = 0
    phone.socket.end()
    phone.socket = undefined
    const account = (await this.#rules.accounts.find(this.#account.aci))!
    phone.isGivenUp = deviceOf(account, phone.id)!.fcmToken === undefined
  }

  /** Of what came while it had none nobody told it. */
  async #giveToken(phone: Phone): Promise<void> {
    const account = (await this.#rules.accounts.find(this.#account.aci))!
    if (!deviceOf(account, phone.id)!.fcmToken) phone.isGivenUp = true
    await this.#rules.devices.setToken(
      { aci: account.aci, deviceId: phone.id },
      'fcm',
      this.#newToken(phone.id),
    )
  }

  async #fetch({ socket }: Phone): Promise<void> {
    if (!socket) return
    await this.#rules.sql.idle()
    for (const message of socket.messages) socket.answer(message)
  }

  async #settle(): Promise<void> {
    const { wakeUps, queues, receipts, sql } = this.#rules
    this.#gateway.gate.resolve()
    await Promise.all(this.#writing.splice(0))
    await receipts.drain()
    await queues.drain()
    await sql.idle()
    await wakeUps!.idle()
    for (const phone of this.#phones.values()) await this.#check(phone)
    assert.deepEqual(this.#gateway.complaints, [])
  }

  /** What waits and is urgent has a wake-up, as long as there is a reminder left. */
  async #check(phone: Phone): Promise<void> {
    const account = (await this.#rules.accounts.find(this.#account.aci))!
    const device = deviceOf(account, phone.id)!
    if (phone.socket || !device.fcmToken || phone.isGivenUp || phone.sinceNews >= PUSHES) return
    const unread = await stored(this.#rules, account, device)
    if (!unread.some((timestamp) => phone.urgent.has(timestamp))) return
    const [row] = await this.#rules.sql.read(
      'SELECT due_at_ms FROM wake_ups WHERE aci = $1 AND device_id = $2 AND due_at_ms IS NOT NULL',
      [uuidToBytes(account.aci), phone.id],
    )
    assert.ok(row, `nothing is due for device ${phone.id}, which has something unread`)
  }

  /** The account goes while its devices do. */
  async end(): Promise<void> {
    const { accounts, sql, wakeUps, clock } = this.#rules
    this.#gateway.gate.resolve()
    await Promise.all(this.#writing.splice(0))
    for (const phone of this.#phones.values()) phone.socket?.end()
    await accounts.delete(this.#account.aci)
    this.#gateway.phones.clear()
    await sql.idle()
    await wakeUps!.idle()
    const left = 'SELECT device_id, stage, due_at_ms FROM wake_ups WHERE aci = $1'
    assert.deepEqual(await sql.read(left, [uuidToBytes(this.#account.aci)]), [])
    clock.advance(DAY_MS)
    await sql.idle()
    await wakeUps!.idle()
  }
}

forEachEngine('whatever happens to its devices, they are woken as promised', async (engine, t) => {
  let now = () => 0
  const gateway = new PhoneGateway(() => now())
  const rules = await openRules(t, { engine, push: gateway })
  now = () => rules.clock.nowMs()
  let pushes = 0
  const days = fc.asyncProperty(
    fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }),
    async (steps) => {
      gateway.complaints.length = 0
      gateway.answers.length = 0
      const day = new Day(rules, gateway)
      pushes += await day.live(steps).catch(async (error) => {
        await day.end()
        throw error
      })
    },
  )
  const numRuns = 50
  await fc.assert(days, { numRuns })
  assert.ok(pushes > numRuns, `only ${pushes} pushes: too few to tell`)
})
