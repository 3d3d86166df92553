// Who proves a number, and what is told to those who do not (cases R1, R3, R4, R7, R8). R2 is tested beside the lock, R6 over the
// captcha itself, what R4 costs in budgets/attack.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CaptchaVerifier } from '../../server/chat/challenges/captcha.ts'
import { createLog } from '../../server/kit/log.ts'
import { PASSWORD, registrationOf } from '../person.ts'
import { openRegistrar } from '../registrar.ts'
import { newNumber } from '../sample-account.ts'

const MINUTE_MS = 60_000
const TOKEN = 'ab'.repeat(32)

test('R1: a number proven in one form is the account of every form, and its lock holds for all of them', async (t) => {
  const { rules, verified, register, registerWith } = await openRegistrar(t)
  const [landline, mobile] = ['+541123456789', '+5491123456789']
  const first = await registerWith(mobile, { registrationLock: TOKEN })
  assert.ok(first.kind === 'registered')
  assert.equal((await registerWith(landline, {})).kind, 'locked')
  const request = registrationOf(await verified(landline))
  const accountAttributes = { ...request.accountAttributes, registrationLock: TOKEN }
  const again = await register(mobile, { ...request, accountAttributes })
  assert.ok(again.kind === 'registered')
  assert.equal(again.account.aci, first.account.aci)
  assert.deepEqual(await rules.sql.read('SELECT COUNT(*) AS n FROM accounts'), [{ n: 1 }])
})

test('R3: a code is worth nothing after ten minutes, and what it proved after ten more', async (t) => {
  const { rules, telephone, register } = await openRegistrar(t)
  const { verification, clock } = rules
  const ask = async (number: string) => {
    const opened = await verification.open(number)
    assert.ok(opened.kind === 'opened')
    assert.equal((await verification.requestCode(opened.session.id, 'sms')).kind, 'ok')
    return opened.session.id
  }
  const number = newNumber()
  const late = await ask(number)
  clock.advance(10 * MINUTE_MS)
  assert.equal((await verification.submitCode(late, telephone.lastCode)).kind, 'not-found')

  const id = await ask(number)
  clock.advance(10 * MINUTE_MS - 1)
  assert.equal((await verification.submitCode(id, telephone.lastCode)).kind, 'ok')
  clock.advance(10 * MINUTE_MS - 1)
  assert.equal((await register(newNumber(), registrationOf(id))).kind, 'foreign-session')
  assert.equal((await register(number, registrationOf(id))).kind, 'registered')
  assert.equal((await register(number, registrationOf(id))).kind, 'unverified')

  const unused = await ask(number)
  await verification.submitCode(unused, telephone.lastCode)
  clock.advance(10 * MINUTE_MS)
  assert.equal((await register(number, registrationOf(unused))).kind, 'unverified')
})

test('R3: of a million codes, a session that is hammered tries five for each that was sent', async (t) => {
  const { rules, telephone } = await openRegistrar(t)
  const { verification, clock } = rules
  const opened = await verification.open(newNumber())
  assert.ok(opened.kind === 'opened')
  const { id } = opened.session
  let tried = 0
  for (let round = 0; round < 60; round++) {
    await verification.requestCode(id, 'sms')
    await verification.requestCode(id, 'voice')
    for (let guess = 0; guess < 20; guess++) {
      const code = String(round * 20 + guess).padStart(6, '0')
      if (code === telephone.lastCode) continue
      const submitted = await verification.submitCode(id, code)
      if (submitted.kind === 'ok') tried++
    }
    clock.advance(MINUTE_MS)
  }
  assert.ok(telephone.codes.length <= 10)
  assert.ok(tried > 0 && tried <= 5 * telephone.codes.length, `${tried} guesses`)
})

test('R7: asking for a code tells nobody whether a number has an account', async (t) => {
  const { rules, person } = await openRegistrar(t, { codes: { perNumber: { hour: 2, day: 2 } } })
  const { verification } = rules
  const [known, stranger] = ['+4915120000001', '+4915120000002']
  await person(known)
  rules.clock.advance(24 * 60 * MINUTE_MS)
  const walk = async (number: string) => {
    const told: unknown[] = []
    for (let times = 0; times < 3; times++) {
      const opened = await verification.open(number)
      assert.ok(opened.kind === 'opened')
      const { id, ...view } = opened.session
      const requested = await verification.requestCode(id, 'sms')
      const submitted = await verification.submitCode(id, 'guess')
      told.push([
        view,
        { ...requested, session: { ...('session' in requested && requested.session), id } },
        submitted,
      ])
    }
    const ids = /"id":"[\w-]{32}"/g
    return JSON.stringify(told).replaceAll(ids, '"id"')
  }
  assert.equal(await walk(known), await walk(stranger))
})

test('R8: whoever reads the codes, but does not know the PIN, gets no number, and its owner gets it back', async (t) => {
  const { rules, registerWith } = await openRegistrar(t)
  const number = newNumber()
  const owner = await registerWith(number, { registrationLock: TOKEN })
  assert.ok(owner.kind === 'registered')
  for (const registrationLock of [undefined, 'cd'.repeat(32)])
    assert.equal((await registerWith(number, { registrationLock }, 'a thief')).kind, 'locked')
  const { aci } = owner.account
  assert.equal(await rules.accounts.authenticate({ username: aci, password: 'a thief' }), undefined)
  const again = await registerWith(number, { registrationLock: TOKEN })
  assert.ok(again.kind === 'registered')
  assert.equal(again.account.aci, aci)
  assert.ok(await rules.accounts.authenticate({ username: aci, password: PASSWORD }))
})

test('R4, R8: operators are told what happens, and no number, code, address, captcha or session', async (t) => {
  const lines: string[] = []
  const log = createLog({ level: 'debug', sink: { write: (line) => lines.push(line) }, nowMs: () => 0 })
  const captcha: CaptchaVerifier = {
    verify: async ({ captcha: text }) => (text === 'the solution' ? 'solved' : 'wrong'),
  }
  const { rules, telephone } = await openRegistrar(t, {
    ...{ log, codes: { perAddress: { hour: 8, day: 9 } }, codeBreaker: { sample: 5 } },
    verification: { demanded: true, captcha },
  })
  const { verification, clock, counters } = rules
  const from = { remoteAddress: '203.0.113.77', userAgent: 'the client' }
  const secrets = [from.remoteAddress, 'the solution', 'the client']
  for (let times = 0; times < 20; times++) {
    const number = `+49151${20_000_000 + times}`
    const opened = await verification.open(number)
    assert.ok(opened.kind === 'opened')
    const { id } = opened.session
    secrets.push(number.slice(6), id)
    await verification.update(id, { captcha: 'wrong', ...from })
    await verification.update(id, { captcha: 'the solution', ...from })
    const remoteAddress = times < 12 ? from.remoteAddress : '203.0.113.78'
    await verification.requestCode(id, 'sms', { languages: [], client: 'ios', remoteAddress })
    await verification.submitCode(id, '000000')
    if (times === 15) clock.advance(30 * MINUTE_MS)
  }
  secrets.push(...telephone.codes, '203.0.113.78')
  const counted = counters.snapshot()
  assert.ok(counted['codes.sms.refused.address']! > 0)
  assert.ok(counted['codes.sms.refused.breaker']! > 0)
  const written = lines.join('')
  assert.ok(lines.some((line) => line.includes('prefix closed') && line.includes('"+49151"')))
  for (const secret of secrets) assert.ok(!written.includes(secret), secret)
})
