// R4: what a night of toll fraud costs. Thousands of addresses ask for codes to numbers that pay the attacker, and nobody
// enters them; meanwhile people register.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type RulesOptions } from '../../../../test/chat-rules.ts'
import type { CodeRequest, CodeSender } from '../senders/sender.ts'

const MINUTE_MS = 60_000
/** What an SMS costs, in US cents, by calling code: as carriers charge for it. */
const CENTS: Readonly<Record<string, number>> = { '+263': 30, '+49': 11, '+41': 8, '+1': 1 }
const centsOf = (to: string) => CENTS[Object.keys(CENTS).find((code) => to.startsWith(code))!]!

/** A provider that charges for each message, and brings it to who waits for it. */
class Provider implements CodeSender {
  readonly name = 'provider'
  readonly transports = ['sms', 'voice'] as const
  readonly codes = new Map<string, string>()
  sent = 0
  cents = 0
  async send({ to, code }: CodeRequest) {
    this.sent++
    this.cents += centsOf(to)
    this.codes.set(to, code)
    return { kind: 'sent' } as const
  }
}

const digits = (value: number, count: number) => String(value).padStart(count, '0')
/** As attackers have them: one after another, of ranges that they earn from. */
const pumped = (prefix: string) => (index: number) => `+${prefix}${digits(index % 3000, 6)}`
/** Of a botnet: half are IPv4 addresses, half are networks of IPv6; each asks a few times. */
const botOf = (index: number) => {
  const bot = index % 2500
  return bot % 2 === 0 ? `203.${bot >> 8}.${bot & 255}.1` : `2001:db8:${bot.toString(16)}:1::/64`
}

async function simulate(
  t: TestContext,
  options: RulesOptions,
  target: (index: number) => string,
  requests = 10_000,
) {
  const [provider, honestProvider] = [new Provider(), new Provider()]
  const isHonest = new Set<string>()
  /** The same provider: its bill is written apart. */
  const sender: CodeSender = {
    ...{ name: 'provider', transports: ['sms', 'voice'] },
    send: (request) => (isHonest.has(request.to) ? honestProvider : provider).send(request),
  }
  const limits = { verificationSession: { bucket: 10_000 } }
  const { verification, clock, counters } = await openRules(t, { senders: [sender], limits, ...options })

  const ask = async (number: string, remoteAddress: string) => {
    const opened = await verification.open(number)
    assert.ok(opened.kind === 'opened', number)
    const { id } = opened.session
    const asking = { languages: [], client: 'unknown', remoteAddress } as const
    return { id, ...(await verification.requestCode(id, 'sms', asking)) }
  }
  const honest = { tried: 0, registered: 0 }
  const register = async (number: string, index: number) => {
    isHonest.add(number)
    honest.tried++
    const { id, kind } = await ask(number, `198.51.${index >> 8}.${index & 255}`)
    if (kind !== 'ok') return
    const submitted = await verification.submitCode(id, honestProvider.codes.get(number)!)
    if (submitted.kind === 'ok' && submitted.session.verified) honest.registered++
  }
  const people = [
    (index: number) => `+49151${digits(20_000_000 + index, 8)}`,
    (index: number) => `+4179${digits(2_000_000 + index, 7)}`,
    (index: number) => `+1202555${digits(100 + index, 4)}`,
    // A neighbour of the numbers that are pumped.
    (index: number) => `+26371${digits(2_000_000 + index, 7)}`,
  ]

  /** All requests within two hours, and somebody who registers every other minute. */
  for (let minute = 0; minute < 120; minute++) {
    const from = Math.floor((minute * requests) / 120)
    const to = Math.floor(((minute + 1) * requests) / 120)
    await Promise.all(Array.from({ length: to - from }, (_, at) => ask(target(from + at), botOf(from + at))))
    if (minute % 2 === 0) await register(people[(minute / 2) % people.length]!(minute), minute)
    clock.advance(MINUTE_MS)
  }
  return { provider, honestProvider, honest, counted: counters.snapshot() }
}

test('R4: 10,000 requests for one pumped prefix cost as much as its budget, and everybody else gets in', async (t) => {
  const { provider, honestProvider, honest, counted } = await simulate(t, { codes: {} }, pumped('263771'))
  // 30 in the first hour, then the prefix is closed; four trials after its pause.
  assert.deepEqual([provider.sent, provider.cents], [34, 1020])
  assert.deepEqual(honest, { tried: 60, registered: 60 })
  assert.equal(honestProvider.sent, 60)
  assert.equal(counted['codes.sms.prefixes-closed'], 2)
})

test('R4: an attack that leaps from prefix to prefix of a country costs as much as the budget of the country', async (t) => {
  const target = (index: number) => pumped(`2637${71 + (index % 8)}`.slice(0, 6))(Math.floor(index / 8))
  const { provider, honest } = await simulate(t, { codes: {} }, target, 5000)
  assert.ok(provider.sent > 60 && provider.sent <= 104, `${provider.sent} codes were sent`)
  // Three of four people have numbers of other countries: all of them get in.
  assert.deepEqual([honest.tried, honest.registered >= 45], [60, true])
})

test('R4: without budgets the same requests would be paid for, each of them', async (t) => {
  const { provider } = await simulate(t, {}, pumped('263771'), 1000)
  assert.deepEqual([provider.sent, provider.cents], [1000, 30_000])
})
