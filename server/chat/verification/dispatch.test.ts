// What a session makes of its senders: who sends next, who compares, and what the client is told.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { refusedAs } from '../../../test/registrar.ts'
import { newNumber } from '../../../test/sample-account.ts'
import { ScriptedSender } from '../../../test/scripted-sender.ts'
import type { SendOutcome, Transport } from './senders/sender.ts'
import { ATTEMPTS_PER_CODE, LIFETIME_MS } from './verification.ts'

const MINUTE_MS = 60_000
const unavailable: SendOutcome = { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }
const rejected: SendOutcome = { kind: 'refused', reason: 'providerRejected', permanentFailure: true }
const never = () => new Promise<never>(() => {})

async function openSenders(t: TestContext) {
  const [first, second] = [new ScriptedSender('first'), new ScriptedSender('second')]
  const rules = await openRules(t, { senders: [first, second] })
  const { verification } = rules
  const open = async () => {
    const opened = await verification.open(newNumber())
    assert.ok(opened.kind === 'opened')
    const { id } = opened.session
    const request = async (transport: Transport = 'sms') => {
      const requested = await verification.requestCode(id, transport)
      return requested.kind === 'not-found' ? assert.fail('the session is gone') : requested
    }
    const submit = async (code: string) => {
      const answered = await verification.submitCode(id, code)
      return answered.kind === 'not-found' ? answered.kind : `${answered.kind} ${answered.session.verified}`
    }
    return { id, request, submit }
  }
  /** How often each has sent. */
  const counts = () => [first.requests.length, second.requests.length]
  return { ...rules, first, second, open, counts, ...(await open()) }
}

test('a code that did not arrive may be asked for again at once, and comes by the next sender', async (t) => {
  const { verification, first, second, request, submit, counts, id } = await openSenders(t)
  await request()
  const report = { delivery: first.last.delivery, signature: 'failed', fields: { state: 'failed' } }
  assert.equal((await request()).kind, 'too-soon')
  assert.equal(await verification.report('first', report), true)
  assert.equal((await verification.get(id))?.nextSms, 0)
  assert.equal((await request()).kind, 'ok')
  assert.deepEqual(counts(), [1, 1])
  assert.equal((await request()).kind, 'too-soon')
  assert.equal(await submit(second.last.code), 'ok true')
})

test('reports that change nothing: of an older code, of a delivered one, of nobody’s, forged ones', async (t) => {
  const { verification, first, request, clock, id } = await openSenders(t)
  await request()
  const old = first.last.delivery
  clock.advance(MINUTE_MS)
  await request()
  const { delivery } = first.last
  const news = (state: string, of = delivery, signature = state) =>
    verification.report('first', { delivery: of, signature, fields: { state } })
  assert.deepEqual([await news('failed', old), await news('failed', 'unknown')], [true, true])
  assert.deepEqual([await news('delivered'), await news('pending')], [true, true])
  assert.deepEqual([await news('failed', delivery, 'forged'), await news('failed', '', '')], [false, false])
  assert.equal(await verification.report('nobody', { delivery, signature: 'failed', fields: {} }), false)
  assert.equal((await verification.get(id))?.nextSms, 120)
  assert.equal((await request()).kind, 'too-soon')
})

test('a failed call opens the way for a call, not for a message', async (t) => {
  const { verification, first, request, id } = await openSenders(t)
  await request('sms')
  await request('voice')
  const fields = { state: 'failed', transport: 'voice' }
  await verification.report('first', { delivery: first.last.delivery, signature: 'failed', fields })
  const { nextSms, nextCall } = (await verification.get(id))!
  assert.deepEqual([nextSms, nextCall], [60, 0])
})

test('failures do not make more codes: after the fifth there is none', async (t) => {
  const { verification, first, second, request } = await openSenders(t)
  const report = ({ name, requests }: ScriptedSender) =>
    verification.report(name, {
      delivery: requests.at(-1)?.delivery ?? '',
      signature: 'failed',
      fields: { state: 'failed' },
    })
  for (let sent = 0; sent < 5; sent++) {
    assert.equal((await request()).kind, 'ok')
    await Promise.all([first, second].map(report))
  }
  const answered = await request()
  assert.deepEqual([answered.kind, answered.session.nextSms], ['too-soon', null])
  assert.equal(first.requests.length + second.requests.length, 5)
})

test('a verified session hears nothing of deliveries', async (t) => {
  const { verification, first, request, submit, id } = await openSenders(t)
  await request()
  assert.equal(await submit(first.last.code), 'ok true')
  const report = { delivery: first.last.delivery, signature: 'failed', fields: { state: 'failed' } }
  await verification.report('first', report)
  const { verified, nextSms } = (await verification.get(id))!
  assert.deepEqual([verified, nextSms], [true, null])
})

test('a sender that gave no answer may have sent: nobody else does, until the client asks again, which it may at once', async (t) => {
  const { first, second, request, submit, counts } = await openSenders(t)
  first.outcomes = [{ kind: 'unknown' }]
  const answered = await request()
  assert.ok(answered.kind === 'not-sent')
  assert.deepEqual(answered.failure, { reason: 'providerUnavailable', permanentFailure: false })
  assert.deepEqual([answered.session.nextSms, counts()], [0, [1, 0]])
  const other = (await request()).kind
  assert.deepEqual([other, counts()], ['ok', [1, 1]])
  assert.equal(await submit(second.last.code), 'ok true')
})

test('the code of a sender that gave no answer is good, if it came', async (t) => {
  const { first, request, submit } = await openSenders(t)
  first.outcomes = [{ kind: 'unknown' }]
  await request()
  assert.equal(await submit(first.last.code), 'ok true')
})

test('the client is told what its sender means: another way, never, later', async (t) => {
  const { first, second, open } = await openSenders(t)
  const told = async (one: SendOutcome, other: SendOutcome) => {
    first.outcomes = [one]
    second.outcomes = [other]
    const answered = await (await open()).request()
    const failure = 'failure' in answered ? answered.failure : undefined
    return [answered.kind, failure?.reason ?? answered.retryAfterSeconds, failure?.permanentFailure]
  }
  const notAllowed: SendOutcome = { kind: 'not-allowed' }
  assert.deepEqual(await told(notAllowed, notAllowed), ['unavailable', undefined, undefined])
  assert.deepEqual(await told(unavailable, unavailable), ['not-sent', 'providerUnavailable', false])
  assert.deepEqual(await told(rejected, notAllowed), ['not-sent', 'providerRejected', true])
  assert.deepEqual(await told({ kind: 'rate-limited' }, rejected), ['too-soon', 60, undefined])
  const busy: SendOutcome = { kind: 'rate-limited', retryAfterSeconds: 600 }
  assert.deepEqual(await told(busy, rejected), ['too-soon', 600, undefined])
})

test('a way that no sender knows is not offered', async (t) => {
  const { first, second, open, verification } = await openSenders(t)
  for (const sender of [first, second]) Object.assign(sender, { transports: ['sms'] })
  const { id, request } = await open()
  assert.equal((await verification.get(id))?.nextCall, null)
  const answered = await request('voice')
  assert.deepEqual([answered.kind, answered.session.nextSms], ['unavailable', 0])
})

test('a sender that makes the code compares it, and ours is worth nothing then', async (t) => {
  const { first, request, submit } = await openSenders(t)
  first.outcomes = [{ kind: 'sent', check: 'VE1' }]
  first.judge = async (code) => (code === '424242' ? 'right' : 'wrong')
  await request()
  assert.equal(await submit(first.last.code === '424242' ? '1' : first.last.code), 'ok false')
  assert.equal(await submit('424242'), 'ok true')
  assert.deepEqual(first.checked.at(-1), ['VE1', '424242'])
})

test('a sender that compares is asked five times for a code, however many come at once', async (t) => {
  const { first, request, submit } = await openSenders(t)
  first.outcomes = [{ kind: 'sent', check: 'VE1' }]
  first.judge = async () => 'wrong'
  await request()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => submit(String(index))))
  assert.equal(answers.filter((answer) => answer === 'ok false').length, ATTEMPTS_PER_CODE)
  assert.equal(first.checked.length, ATTEMPTS_PER_CODE)
})

test('a code that its sender has forgotten is over; one that it can’t compare now is not', async (t) => {
  const { first, request, submit } = await openSenders(t)
  first.outcomes = [{ kind: 'sent', check: 'VE1' }]
  await request()
  first.judge = async () => 'unavailable'
  await assert.rejects(submit('424242'), refusedAs('unavailable'))
  first.judge = async () => 'over'
  assert.equal(await submit('424242'), 'conflict false')
  first.judge = async () => 'right'
  assert.equal(await submit('424242'), 'ok true')
})

test('a code of ours after one of a sender’s own is compared by us', async (t) => {
  const { first, request, submit, clock } = await openSenders(t)
  first.outcomes = [{ kind: 'sent', check: 'VE1' }, { kind: 'sent' }]
  first.judge = async () => 'right'
  await request()
  clock.advance(MINUTE_MS)
  await request()
  const { code } = first.last
  assert.equal(await submit(code === '000000' ? '000001' : '000000'), 'ok false')
  assert.equal(await submit(code), 'ok true')
  assert.equal(first.checked.length, 0)
})

test('a sender that makes people wait makes nobody else wait', async (t) => {
  const { first, second, open, verification, clock, ...own } = await openSenders(t)
  const asked = Promise.withResolvers<void>()
  const wait = () => {
    asked.resolve()
    return never()
  }
  first.outcomes = [wait, unavailable]
  const waiting = own.request()
  await asked.promise
  const other = await open()
  assert.equal((await other.request()).kind, 'ok')
  assert.equal(await other.submit(second.last.code), 'ok true')
  assert.ok(await verification.get(own.id))
  clock.advance(LIFETIME_MS / 40)
  assert.equal((await waiting).kind, 'not-sent')
})

test('a server that is stopped leaves no request with a sender, and writes nothing more of it', async (t) => {
  const { first, verification, request, sql } = await openSenders(t)
  const asked = Promise.withResolvers<void>()
  const wait = () => {
    asked.resolve()
    return never()
  }
  first.outcomes = [wait]
  const waiting = request()
  await asked.promise
  verification.close()
  await assert.rejects(waiting, refusedAs('unavailable'))
  const [row] = await sql.read('SELECT sender, failed_sender FROM verification_sessions', [])
  assert.deepEqual({ ...row }, { sender: '', failed_sender: '' })
})
