import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { Telephone } from '../../../test/person.ts'
import { newNumber } from '../../../test/sample-account.ts'
import type { E164 } from '../../../wire/types.ts'
import { type CodeSender, TRANSPORTS } from './senders/sender.ts'
import { ATTEMPTS_PER_CODE, CODE_DIGITS, LIFETIME_MS } from './verification.ts'

const SECOND_MS = 1000

async function openSession(t: TestContext, senders?: readonly CodeSender[]) {
  const telephone = new Telephone()
  const { verification, clock, sql } = await openRules(t, { senders: senders ?? [telephone] })
  const number = newNumber()
  const opened = await verification.open(number)
  assert.ok(opened.kind === 'opened')
  const { id } = opened.session
  const request = async (transport: 'sms' | 'voice' = 'sms') => {
    const answered = await verification.requestCode(id, transport)
    return answered.kind === 'not-found' ? assert.fail('the session is gone') : answered
  }
  const submit = async (code: string) => {
    const answered = await verification.submitCode(id, code)
    return answered.kind === 'not-found' ? answered.kind : `${answered.kind} ${answered.session.verified}`
  }
  return { verification, clock, sql, telephone, number, id, request, submit, first: opened.session }
}

const wrong = (code: string) => (code === '000000' ? '000001' : '000000')
const broken: CodeSender = {
  name: 'broken',
  transports: TRANSPORTS,
  async send() {
    throw new Error('no line')
  },
}

test('a session is gone ten minutes after it was opened, or after its last code was sent', async (t) => {
  const { verification, clock, id, request } = await openSession(t)
  clock.advance(LIFETIME_MS - 1)
  assert.ok(await verification.get(id))
  await request()
  clock.advance(LIFETIME_MS - 1)
  assert.ok(await verification.get(id))
  clock.advance(1)
  assert.equal(await verification.get(id), undefined)
  assert.deepEqual(await verification.requestCode(id, 'sms'), { kind: 'not-found' })
  assert.deepEqual(await verification.submitCode(id, '123456'), { kind: 'not-found' })
})

for (const transport of ['sms', 'voice'] as const)
  test(`another code by ${transport} may be asked for after 60, 120, 240 and 480 seconds, then never`, async (t) => {
    const { clock, telephone, request } = await openSession(t)
    const field = transport === 'sms' ? 'nextSms' : 'nextCall'
    for (const waitSeconds of [60, 120, 240, 480]) {
      const sent = await request(transport)
      assert.equal(sent.kind, 'ok')
      assert.equal(sent.session[field], waitSeconds)
      clock.advance((waitSeconds - 1) * SECOND_MS + 1)
      const early = await request(transport)
      assert.deepEqual([early.kind, early.retryAfterSeconds], ['too-soon', 1])
      clock.advance(SECOND_MS - 1)
    }
    const last = await request(transport)
    assert.deepEqual([last.kind, last.session[field]], ['ok', null])
    clock.advance(LIFETIME_MS - 1)
    const never = await request(transport)
    assert.deepEqual([never.kind, never.retryAfterSeconds], ['too-soon', undefined])
    assert.equal(telephone.codes.length, 5)
  })

test('a code by voice does not wait for one by SMS', async (t) => {
  const { request } = await openSession(t)
  assert.deepEqual((await request('sms')).session.nextCall, 0)
  const called = await request('voice')
  assert.equal(called.kind, 'ok')
  assert.deepEqual([called.session.nextSms, called.session.nextCall], [60, 60])
})

test('of codes asked for at once one is sent', async (t) => {
  const { telephone, request } = await openSession(t)
  const answers = await Promise.all(Array.from({ length: 20 }, () => request()))
  assert.equal(answers.filter(({ kind }) => kind === 'ok').length, 1)
  assert.equal(answers.filter(({ kind }) => kind === 'too-soon').length, 19)
  assert.equal(telephone.codes.length, 1)
})

test('a wrong code is no failure, until the attempts are spent', async (t) => {
  const { verification, id, telephone, request, submit } = await openSession(t)
  assert.equal(await submit('123456'), 'conflict false')
  await request()
  const code = telephone.lastCode
  assert.match(code, new RegExp(`^\\d{${CODE_DIGITS}}$`))
  for (let attempt = 0; attempt < ATTEMPTS_PER_CODE; attempt++) {
    assert.equal((await verification.get(id))?.nextVerificationAttempt, 0)
    assert.equal(await submit(wrong(code)), 'ok false')
  }
  assert.equal((await verification.get(id))?.nextVerificationAttempt, null)
  assert.equal(await submit(code), 'conflict false')
})

test('the right code verifies at the last attempt, and whatever stands around it is wrong', async (t) => {
  const { telephone, request, submit } = await openSession(t)
  await request()
  const code = telephone.lastCode
  for (const guess of [wrong(code), `${code}0`, code.slice(1), ''])
    assert.equal(await submit(guess), 'ok false')
  assert.equal(await submit(code), 'ok true')
})

test('guesses that come at once spend their attempts, and the code is not found by many', async (t) => {
  const { telephone, request, submit } = await openSession(t)
  await request()
  const code = telephone.lastCode
  const guesses = Array.from({ length: 50 }, (_, index) => String((Number(code) + 1 + index) % 10 ** 6))
  const answers = await Promise.all(guesses.map((guess) => submit(guess.padStart(CODE_DIGITS, '0'))))
  assert.equal(answers.filter((answer) => answer === 'ok false').length, ATTEMPTS_PER_CODE)
  assert.equal(answers.filter((answer) => answer === 'conflict false').length, 45)
  assert.equal(await submit(code), 'conflict false')
})

test('a new code ends the one before it and brings attempts of its own', async (t) => {
  const { clock, telephone, request, submit } = await openSession(t)
  await request()
  const old = telephone.lastCode
  for (let attempt = 0; attempt < ATTEMPTS_PER_CODE; attempt++) await submit(wrong(old))
  clock.advance(60 * SECOND_MS)
  await request()
  assert.notEqual(telephone.lastCode, old)
  assert.equal(await submit(old), 'ok false')
  assert.equal(await submit(telephone.lastCode), 'ok true')
})

test('a code is worth nothing in another session, of the same number even', async (t) => {
  const { verification, number, telephone, request } = await openSession(t)
  await request()
  const code = telephone.lastCode
  const other = await verification.open(number)
  assert.ok(other.kind === 'opened')
  await verification.requestCode(other.session.id, 'sms')
  const answered = await verification.submitCode(other.session.id, code)
  assert.ok(answered.kind === 'ok')
  assert.equal(answered.session.verified, code === telephone.lastCode)
})

test('a verified session takes no code and sends none, and proves its number once', async (t) => {
  const { verification, clock, sql, telephone, number, id, request, submit } = await openSession(t)
  const prove = async (of = number) => (await verification.prove(id, of)).kind
  assert.equal(await prove(), 'unverified')
  await request()
  clock.advance(LIFETIME_MS - 1)
  assert.equal(await submit(telephone.lastCode), 'ok true')
  assert.equal(await submit(telephone.lastCode), 'conflict true')
  const again = await request('voice')
  assert.deepEqual([again.kind, again.session.allowedToRequestCode], ['conflict', false])
  assert.deepEqual([again.session.nextSms, again.session.nextCall], [null, null])
  clock.advance(LIFETIME_MS - 1)
  assert.equal(await prove(newNumber()), 'foreign-session')
  const proof = await verification.prove(id, number)
  assert.ok(proof.kind === 'proven')
  assert.equal((await sql.write([proof.statement])).ok, true)
  assert.equal((await sql.write([proof.statement])).ok, false)
  assert.equal(await prove(), 'unverified')
})

test('a sender that fails gives way to the next one', async (t) => {
  const telephone = new Telephone()
  const { request, submit } = await openSession(t, [broken, telephone])
  assert.equal((await request()).kind, 'ok')
  assert.equal(await submit(telephone.lastCode), 'ok true')
})

test('the senders after one that succeeded are left alone', async (t) => {
  const [first, second] = [new Telephone(), new Telephone()]
  const { request } = await openSession(t, [first, second])
  await request()
  assert.deepEqual([first.codes.length, second.codes.length], [1, 0])
})

test('a code that nobody could send is told as such, and counts as sent', async (t) => {
  const { request } = await openSession(t, [broken, broken])
  const answered = await request()
  assert.ok(answered.kind === 'not-sent')
  assert.deepEqual(answered.failure, { reason: 'providerUnavailable', permanentFailure: false })
  assert.equal(answered.session.nextSms, 60)
  assert.equal((await request()).kind, 'too-soon')
})

test('nothing in the storage is a code', async (t) => {
  const { sql, telephone, request } = await openSession(t)
  await request()
  const rows = JSON.stringify(await sql.read('SELECT * FROM verification_sessions WHERE sms_sent = 1'))
  assert.ok(rows.length > 2)
  assert.ok(!rows.includes(telephone.lastCode))
})

test('a number is taken as it would be written, and told how if it is not', async (t) => {
  const { verification } = await openSession(t)
  assert.deepEqual(await verification.open('+49 1512 3456789'), {
    kind: 'not-normalized',
    normalized: '+4915123456789',
  })
  for (const number of ['', '+', 'abc', '+1', '15123456789', '+999123456789012345'])
    assert.deepEqual(await verification.open(number), { kind: 'impossible' }, number)
  assert.deepEqual(await verification.open('+22912345678'), { kind: 'obsolete' })
  assert.equal((await verification.open('+2290112345678')).kind, 'opened')
})

test('R1: what is proven for one form of a number is proven for every form, and for nobody else', async (t) => {
  const { verification, telephone } = await openSession(t)
  const opened = await verification.open('+541123456789')
  assert.ok(opened.kind === 'opened')
  const { id } = opened.session
  await verification.requestCode(id, 'sms')
  await verification.submitCode(id, telephone.lastCode)
  const prove = async (number: string) => (await verification.prove(id, number as E164)).kind
  assert.equal(await prove('+5491123456789'), 'proven')
  assert.equal(await prove('+541123456789'), 'proven')
  assert.equal(await prove('+541123456780'), 'foreign-session')
})
