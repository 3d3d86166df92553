import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { registrationOf } from '../../../test/person.ts'
import { openRegistrar } from '../../../test/registrar.ts'
import { newNumber } from '../../../test/sample-account.ts'
import { EXPIRE_AFTER_MS } from './recovery.ts'

async function openOwner(t: TestContext) {
  const registrar = await openRegistrar(t)
  const number = newNumber()
  const password = randomBytes(32)
  const registered = await registrar.registerWith(number, { recoveryPassword: password })
  assert.ok(registered.kind === 'registered')
  return { ...registrar, number, password, owner: registered.account }
}

test('a recovery password registers its number, and no other, again and again', async (t) => {
  const { number, password, owner, recover, person } = await openOwner(t)
  const other = newNumber()
  await person(other)
  assert.equal((await recover(other, password)).kind, 'recovery-refused')
  assert.equal((await recover(number, randomBytes(32))).kind, 'recovery-refused')
  for (let time = 0; time < 2; time++) {
    const again = await recover(number, password)
    assert.ok(again.kind === 'registered')
    assert.equal(again.account.aci, owner.aci)
  }
})

test('a number that nobody asked for gets no identity by a recovery password', async (t) => {
  const { rules, recover } = await openRegistrar(t)
  for (const number of [newNumber(), 'nobody', '+1'])
    assert.equal((await recover(number, randomBytes(32))).kind, 'recovery-refused')
  assert.deepEqual(await rules.sql.read('SELECT COUNT(*) AS n FROM phone_numbers'), [{ n: 0 }])
})

test('what is told last counts, for 300 days', async (t) => {
  const { rules, number, password, owner, recover } = await openOwner(t)
  const next = randomBytes(32)
  rules.clock.advance(1_000)
  await rules.recovery.set({ aci: owner.aci, deviceId: 1 }, next)
  assert.equal((await recover(number, password)).kind, 'recovery-refused')
  rules.clock.advance(EXPIRE_AFTER_MS - 1)
  assert.equal((await recover(number, next)).kind, 'registered')
  rules.clock.advance(1)
  assert.equal((await recover(number, next)).kind, 'recovery-refused')
  await rules.recovery.expire()
  assert.deepEqual(await rules.sql.read('SELECT * FROM recovery_passwords'), [])
})

test('whoever proves a number by a code is not met by the recovery password of who had it', async (t) => {
  const { number, password, recover, verified } = await openOwner(t)
  await verified(number)
  assert.equal((await recover(number, password)).kind, 'recovery-refused')
})

test('a recovery password that is removed meanwhile registers nobody', async (t) => {
  const { rules, number, password, owner, recover } = await openOwner(t)
  const hold = rules.sql.hold(/SELECT salt, hash FROM recovery_passwords/)
  const recovering = recover(number, password)
  await hold.reached
  await rules.sql.write([rules.recovery.forgetting(owner)])
  hold.release()
  assert.equal((await recovering).kind, 'recovery-refused')
})

test('the password of an account that is deleted is gone, and its identity is not', async (t) => {
  const { rules, number, password, owner, recover, registerWith } = await openOwner(t)
  await rules.accounts.delete(owner.aci)
  assert.equal((await recover(number, password)).kind, 'recovery-refused')
  const again = await registerWith(number, {})
  assert.ok(again.kind === 'registered')
  assert.deepEqual([again.previous, again.account.aci], [undefined, owner.aci])
  assert.equal(await rules.accounts.formerAci(owner.pni!), undefined)
})

test('R1: a number is one account, with one lock, in every form that reaches it', async (t) => {
  const CLASSES = [
    ['+5215512345678', '+525512345678'],
    ['+541123456789', '+5491123456789'],
    ['+22997123456', '+2290197123456'],
  ] as const
  const TOKEN = 'ab'.repeat(32)
  const { rules, registerWith, recover } = await openRegistrar(t)
  for (const [form, known] of CLASSES) {
    const recoveryPassword = randomBytes(32)
    const first = await registerWith(known, { recoveryPassword, registrationLock: TOKEN })
    assert.ok(first.kind === 'registered')
    const { aci, pni } = first.account
    assert.equal(await rules.accounts.pniOf(form as never), pni)
    assert.equal((await recover(form, recoveryPassword)).kind, 'locked', form)
    const again = await recover(form, recoveryPassword, { registrationLock: TOKEN })
    assert.ok(again.kind === 'registered')
    assert.equal(again.account.aci, aci)
  }
  assert.deepEqual(await rules.sql.read('SELECT COUNT(*) AS n FROM accounts'), [{ n: CLASSES.length }])
  const pins = new Set(rules.limited.filter((taken) => taken.startsWith('pin: ')))
  assert.deepEqual([...pins].sort(), CLASSES.map(([form, known]) => `pin: ${canonical(form, known)}`).sort())
})

test('R1: a number with spaces, zeros or letters proves nothing', async (t) => {
  const { number, password, verified, register, recover } = await openOwner(t)
  const session = await verified(number)
  const national = number.slice(3)
  for (const form of [`+49 ${national}`, `+490${national}`, `0049${national}`, `${number}x`, ` ${number}`]) {
    assert.equal((await register(form, registrationOf(session))).kind, 'foreign-session', form)
    assert.equal((await recover(form, password)).kind, 'recovery-refused', form)
  }
})

/** What the limiters know it by. */
const canonical = (form: string, known: string) =>
  known.length > form.length || form.startsWith('+521') ? known : form
