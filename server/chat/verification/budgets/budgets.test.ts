import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type RulesOptions } from '../../../../test/chat-rules.ts'
import { freshEngine } from '../../../../test/engines.ts'
import { Telephone } from '../../../../test/person.ts'
import { configSchema } from '../../../kit/config-schema.ts'
import type { Transport } from '../senders/sender.ts'
import { openBudgets } from './open-budgets.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const GENEROUS = { verificationSession: { bucket: 1000 } }
const ADDRESS = '192.0.2.1'

async function open(t: TestContext, codes: RulesOptions['codes'] = {}, options: RulesOptions = {}) {
  const telephone = new Telephone()
  const rules = await openRules(t, { senders: [telephone], limits: GENEROUS, codes, ...options })
  const { verification } = rules
  const session = async (number: string) => {
    const opened = await verification.open(number)
    return opened.kind === 'opened' ? opened.session.id : assert.fail(`${number} is no number`)
  }
  const request = async (id: string, transport: Transport = 'sms', remoteAddress = ADDRESS) => {
    const asking = { languages: [], client: 'unknown', remoteAddress } as const
    const requested = await verification.requestCode(id, transport, asking)
    return requested.kind === 'not-found' ? assert.fail('the session is gone') : requested
  }
  /** Asks for a code in a session of its own. */
  const ask = async (number: string, transport: Transport = 'sms', remoteAddress = ADDRESS) =>
    request(await session(number), transport, remoteAddress)
  /** `ok`, or how long to wait. */
  const outcome = async (...asked: Parameters<typeof ask>) => {
    const answered = await ask(...asked)
    return answered.kind === 'too-soon' ? answered.retryAfterSeconds : answered.kind
  }
  return { ...rules, telephone, session, request, ask, outcome }
}

let given = 0
/** Numbers of people that nobody had before, all of one prefix. */
const german = () => `+49151${String(20_000_000 + given++)}`
const swiss = () => `+4179${String(2_000_000 + given++)}`
let addresses = 0
const newAddress = () =>
  `2001:db8:${(addresses >> 16).toString(16)}:${(addresses++ & 0xffff).toString(16)}::/64`

test('a number gets so many codes in an hour and in a day, by SMS and voice together, in every session and form', async (t) => {
  const { clock, telephone, outcome } = await open(t, { perNumber: { hour: 3, day: 5 } })
  const forms = ['+541123456789', '+5491123456789']
  assert.equal(await outcome(forms[0]!, 'voice', newAddress()), 'ok')
  clock.advance(MINUTE_MS)
  assert.equal(await outcome(forms[1]!, 'sms', newAddress()), 'ok')
  assert.equal(await outcome(forms[1]!, 'voice', newAddress()), 'ok')
  assert.equal(await outcome(forms[0]!, 'voice', newAddress()), 59 * 60)
  assert.equal(await outcome(forms[1]!, 'sms', newAddress()), 59 * 60)
  clock.advance(59 * MINUTE_MS)
  assert.equal(await outcome(forms[1]!, 'sms', newAddress()), 'ok')
  assert.equal(await outcome(forms[1]!, 'sms', newAddress()), 'ok')
  assert.equal(await outcome(forms[1]!, 'sms', newAddress()), 23 * 3600)
  assert.equal(telephone.codes.length, 5)
})

test('an address gets so many codes; this host is not counted', async (t) => {
  const { outcome } = await open(t, { perAddress: { hour: 2, day: 9 } })
  assert.deepEqual([await outcome(german()), await outcome(german())], ['ok', 'ok'])
  assert.equal(await outcome(german()), 3600)
  assert.equal(await outcome(german(), 'sms', '192.0.2.2'), 'ok')
  for (const loopback of ['127.0.0.1', '::/64'])
    for (let times = 0; times < 5; times++) assert.equal(await outcome(german(), 'sms', loopback), 'ok')
})

test('a prefix, a country and the server get so many codes, and others go on', async (t) => {
  const budgets = {
    perPrefix: { hour: 2, day: 9 },
    perCountry: { hour: 3, day: 9 },
    sms: { hour: 5, day: 9 },
  }
  const { telephone, outcome } = await open(t, budgets)
  const otherPrefix = () => `+49170${String(2_000_000 + given++)}`
  const ask = (number: string) => outcome(number, 'sms', newAddress())
  assert.deepEqual([await ask(german()), await ask(german()), await ask(german())], ['ok', 'ok', 3600])
  assert.deepEqual([await ask(otherPrefix()), await ask(otherPrefix())], ['ok', 3600])
  assert.deepEqual([await ask(swiss()), await ask(swiss()), await ask('+12025550123')], ['ok', 'ok', 3600])
  assert.equal(await outcome('+12025550123', 'voice', newAddress()), 'ok')
  assert.equal(telephone.codes.length, 6)
})

test('who is refused is told when to come back, and has spent nothing of the session', async (t) => {
  const { clock, telephone, session, request, ask } = await open(t, { perPrefix: { hour: 1, day: 9 } })
  await ask(german())
  clock.advance(50 * MINUTE_MS)
  const id = await session(german())
  const refused = await request(id)
  assert.deepEqual(
    [refused.kind, refused.retryAfterSeconds, refused.session.nextSms, refused.session.nextCall],
    ['too-soon', 600, 600, 0],
  )
  assert.deepEqual(
    [refused.session.allowedToRequestCode, refused.session.nextVerificationAttempt],
    [true, null],
  )
  assert.equal(telephone.codes.length, 1)
  clock.advance(10 * MINUTE_MS - 1)
  assert.equal((await request(id)).kind, 'too-soon')
  clock.advance(1)
  assert.equal((await ask(german())).kind, 'ok')
})

test('of codes that are asked for at once no more are sent than there are', async (t) => {
  const { telephone, ask } = await open(t, { perPrefix: { hour: 5, day: 9 } })
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(german(), 'sms', newAddress())))
  assert.equal(answers.filter(({ kind }) => kind === 'ok').length, 5)
  assert.equal(answers.filter(({ kind }) => kind === 'too-soon').length, 35)
  assert.equal(telephone.codes.length, 5)
})

test('numbers of a country or of a kind that is refused get none, for good, and spend no budget', async (t) => {
  const { telephone, sql, ask } = await open(t, { deniedCountries: ['ZW', '+41'] })
  const refused = {
    country: '+263771234567',
    'calling code': '+41791234567',
    premium: '+19002345678',
    'shared cost': '+448431234567',
    'toll free': '+18005550199',
    personal: '+447012345678',
    VoIP: '+33912345678',
    unassigned: '+4932123456',
  }
  for (const [what, number] of Object.entries(refused))
    for (const transport of ['sms', 'voice'] as const) {
      const { kind, ...answered } = await ask(number, transport)
      assert.equal(kind, 'not-sent', what)
      assert.ok('failure' in answered)
      assert.deepEqual(answered.failure, { reason: 'providerRejected', permanentFailure: true })
    }
  assert.equal(telephone.codes.length, 0)
  assert.deepEqual(await sql.read('SELECT * FROM code_budgets'), [])
  assert.equal((await ask(german())).kind, 'ok')
})

test('where countries are named, others get no codes', async (t) => {
  const { ask } = await open(t, { countries: ['DE', 'JM'] })
  const kinds = [german(), '+18762345678', '+12025550123', swiss()].map(
    async (number) => (await ask(number)).kind,
  )
  assert.deepEqual(await Promise.all(kinds), ['ok', 'ok', 'not-sent', 'not-sent'])
})

test('what is not sent by a transport is said, and the other one is there', async (t) => {
  const { ask } = await open(t, { voice: { hour: 0 } })
  const sms = await ask(german())
  assert.deepEqual([sms.kind, sms.session.nextCall], ['ok', null])
  assert.equal((await ask(german(), 'voice')).kind, 'unavailable')
  const { ask: askBoth } = await open(t)
  assert.equal((await askBoth('+493012345678', 'sms')).kind, 'unavailable')
  assert.equal((await askBoth('+493012345678', 'voice')).kind, 'ok')
})

test('budgets and closed prefixes outlive a restart', async (t) => {
  const engine = (await freshEngine('sqlite', t))!
  const codes = { perNumber: { hour: 1, day: 1 } }
  const options = { engine, codeBreaker: { sample: 3 } }
  const number = german()
  const before = await open(t, codes, options)
  for (const one of [number, german(), german()]) assert.equal(await before.outcome(one), 'ok')
  before.clock.advance(20 * MINUTE_MS)
  assert.equal(await before.outcome(german()), 3600)
  await before.sql.close()
  const after = await open(t, codes, options)
  after.clock.advance(20 * MINUTE_MS)
  assert.equal(await after.outcome(number), (24 * 60 - 20) * 60)
  assert.equal(await after.outcome(german()), 3600)
  assert.equal(await after.outcome(swiss()), 'ok')
})

test('a prefix whose codes are entered stays open; one whose codes are not is closed, and operators are told', async (t) => {
  const { clock, counters, telephone, verification, session, request, outcome } = await open(
    t,
    {},
    { codeBreaker: { sample: 5 } },
  )
  for (let person = 0; person < 10; person++) {
    const id = await session(swiss())
    assert.equal((await request(id, 'sms', newAddress())).kind, 'ok')
    await verification.submitCode(id, telephone.lastCode)
    assert.equal(await outcome(german(), 'sms', newAddress()), 'ok')
  }
  clock.advance(20 * MINUTE_MS)
  assert.equal(await outcome(german(), 'sms', newAddress()), 3600)
  assert.equal(await outcome(german(), 'voice', newAddress()), 'ok')
  assert.equal(await outcome(swiss(), 'sms', newAddress()), 'ok')
  const counted = counters.snapshot()
  assert.equal(counted['codes.sms.prefixes-closed'], 1)
  assert.equal(counted['codes.sms.refused.breaker'], 1)
})

test('a right code that is entered many times at once counts as entered once', async (t) => {
  const { sql, telephone, verification, session, request } = await open(t)
  await request(await session(german()))
  const id = await session(german())
  await request(id)
  const code = telephone.lastCode
  await Promise.all(Array.from({ length: 5 }, () => verification.submitCode(id, code)))
  const rows = await sql.read('SELECT sent, entered FROM code_cohorts WHERE prefix = $1', ['+49151'])
  assert.deepEqual(
    rows.map((row) => [row['sent'], row['entered']]),
    [[2, 1]],
  )
})

test('a code that no sender took closes nothing, and its number has spent it all the same', async (t) => {
  const broken = {
    name: 'broken',
    transports: ['sms', 'voice'] as const,
    send: async () => ({ kind: 'refused', reason: 'providerRejected', permanentFailure: true }) as const,
  }
  const codes = { perNumber: { hour: 1, day: 9 } }
  const { clock, sql, ask } = await open(t, codes, { senders: [broken], codeBreaker: { sample: 1 } })
  const number = german()
  assert.equal((await ask(number)).kind, 'not-sent')
  assert.equal((await ask(number)).kind, 'too-soon')
  assert.deepEqual(
    (await sql.read('SELECT sent FROM code_cohorts')).map((row) => row['sent']),
    [0, 0],
  )
  clock.advance(20 * MINUTE_MS)
  assert.equal((await ask(german())).kind, 'not-sent')
})

test('nothing that is counted is a number or an address', async (t) => {
  const { sql, ask } = await open(t)
  const number = german()
  await ask(number, 'sms', '198.51.100.23')
  const tables = ['code_budgets', 'code_cohorts', 'code_breakers']
  const rows = await Promise.all(tables.map((table) => sql.read(`SELECT * FROM ${table}`)))
  const text = JSON.stringify(rows)
  assert.ok(text.includes('+49151') && text.includes('address:'))
  for (const secret of [number, number.slice(1), number.slice(6), '198.51.100.23'])
    assert.ok(!text.includes(secret))
})

test('what was counted and sessions that are over are forgotten', async (t) => {
  const { clock, sql, verification, ask } = await open(t)
  await ask(german())
  const left = async () =>
    (await sql.read('SELECT key FROM code_budgets')).length +
    (await sql.read('SELECT id FROM verification_sessions')).length
  await verification.expire()
  assert.equal(await left(), 6)
  clock.advance(24 * HOUR_MS)
  await verification.expire()
  assert.equal(await left(), 0)
})

test('budgets are on once codes cost money, unless they are turned off, which is said', async (t) => {
  const { sql, clock, events } = await openRules(t)
  let warnings = 0
  const told = { ...events, budgetsOff: () => void warnings++ }
  const opens = (registration: object) =>
    openBudgets(configSchema.parse({ registration }), {
      ...{ sql, clock, events: told, secret: Buffer.alloc(32) },
    }) !== undefined
  const paid = { senders: ['webhook', 'console'] }
  assert.deepEqual([opens({}), opens({ budgets: 'off' }), opens({ budgets: 'on' })], [false, false, true])
  assert.deepEqual([opens(paid), opens({ ...paid, budgets: 'on' })], [true, true])
  assert.equal(warnings, 0)
  assert.equal(opens({ ...paid, budgets: 'off' }), false)
  assert.equal(warnings, 1)
})
