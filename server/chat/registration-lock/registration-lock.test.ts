import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { PASSWORD, registrationOf } from '../../../test/person.ts'
import { openRegistrar, refusedAs } from '../../../test/registrar.ts'
import { newNumber, sampleDevice } from '../../../test/sample-account.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Account } from '../accounts/account.ts'
import { hashPassword } from '../accounts/device-password.ts'
import { LOCK_LASTS_MS } from './registration-lock.ts'

const TOKEN = 'ab'.repeat(32)
const WRONG = 'cd'.repeat(32)
const DAY_MS = 86_400_000

/** A server with somebody on it who has locked their account, with two devices and a recovery password. */
async function openLocked(t: TestContext) {
  const registrar = await openRegistrar(t)
  const { rules, registerWith } = registrar
  const number = newNumber()
  const recoveryPassword = randomBytes(32)
  const registered = await registerWith(number, { registrationLock: TOKEN, recoveryPassword })
  assert.ok(registered.kind === 'registered')
  const { aci, pni } = registered.account
  await rules.accounts.update(aci, (account) => ({
    ...account,
    devices: [...account.devices, sampleDevice({ id: 2, ...hashPassword('two', rules.random) })],
  }))
  const sentAway: string[] = []
  for (const deviceId of [1, 2])
    rules.queues.listenToDevice({ aci, deviceId }, () => sentAway.push(`${deviceId}`))
  const login = async (deviceId: number) => {
    const password = deviceId === 1 ? PASSWORD : 'two'
    return (await rules.accounts.authenticate({ username: `${aci}.${deviceId}`, password })) !== undefined
  }
  const logins = () => Promise.all([1, 2].map(login))
  const pinTaken = () => rules.limited.filter((taken) => taken.startsWith('pin: ')).length
  const canRecover = async () => (await rules.numberProof.prove(number, evidence)).kind === 'proven'
  const evidence = { sessionId: undefined, recoveryPassword }
  return { ...registrar, number, aci, pni, recoveryPassword, sentAway, logins, pinTaken, canRecover }
}

test('without the token nobody takes a locked account over, and its own devices are shut out', async (t) => {
  const { rules, number, aci, registerWith, sentAway, logins, pinTaken, canRecover } = await openLocked(t)
  const attempts: Account[] = []
  rules.lock.onAttempt((account) => attempts.push(account))
  assert.deepEqual(await logins(), [true, true])
  rules.clock.advance(1_000)
  const refused = await registerWith(number, {})
  assert.ok(refused.kind === 'locked')
  assert.equal(refused.timeRemainingMs, LOCK_LASTS_MS - 1_000)
  assert.deepEqual(refused.svr2, rules.services.svr2.issue(aci))
  assert.deepEqual(await logins(), [false, false])
  assert.deepEqual(sentAway, ['1', '2'])
  assert.deepEqual(
    attempts.map((account) => account.aci),
    [aci],
  )
  assert.equal(pinTaken(), 0)
  assert.equal(await canRecover(), false)
})

test('the token takes a locked account over, also after its devices were shut out', async (t) => {
  const { number, aci, registerWith, logins } = await openLocked(t)
  assert.equal((await registerWith(number, {})).kind, 'locked')
  assert.equal((await registerWith(number, { registrationLock: WRONG })).kind, 'locked')
  const registered = await registerWith(number, { registrationLock: TOKEN })
  assert.ok(registered.kind === 'registered')
  assert.equal(registered.account.aci, aci)
  assert.deepEqual(await logins(), [true, false])
  assert.equal((await registerWith(number, {})).kind, 'locked')
})

test('a session that met a lock is not used up', async (t) => {
  const { number, verified, register } = await openLocked(t)
  const request = registrationOf(await verified(number))
  assert.equal((await register(number, request)).kind, 'locked')
  const accountAttributes = { ...request.accountAttributes, registrationLock: TOKEN }
  assert.equal((await register(number, { ...request, accountAttributes })).kind, 'registered')
})

test('R2: ten tokens can be tried, and one more for every day', async (t) => {
  const { rules, number, registerWith, pinTaken } = await openLocked(t)
  // Seen again and again, so that the lock does not end first.
  const seen = () =>
    rules.sql.write([{ sql: 'UPDATE devices SET last_seen_ms = $1', args: [rules.clock.nowMs()] }])
  for (let tried = 0; tried < 10; tried++)
    assert.equal((await registerWith(number, { registrationLock: WRONG })).kind, 'locked')
  assert.equal(pinTaken(), 10)
  await assert.rejects(registerWith(number, { registrationLock: TOKEN }), refusedAs('rate-limited'))
  assert.equal((await registerWith(number, {})).kind, 'locked')
  rules.clock.advance(DAY_MS)
  await seen()
  assert.equal((await registerWith(number, { registrationLock: TOKEN })).kind, 'registered')
  for (let tried = 0; tried < 10; tried++)
    assert.equal((await registerWith(number, { registrationLock: WRONG })).kind, 'locked')
})

test('R2: a lock ends exactly seven days after the primary device was seen', async (t) => {
  const { rules, number, registerWith } = await openLocked(t)
  rules.clock.advance(LOCK_LASTS_MS - 1)
  const refused = await registerWith(number, {})
  assert.ok(refused.kind === 'locked')
  assert.equal(refused.timeRemainingMs, 1)
  rules.clock.advance(1)
  const registered = await registerWith(number, {})
  assert.ok(registered.kind === 'registered')
  assert.equal(registered.account.registrationLock, undefined)
})

test('R2: a linked device that is seen does not keep a lock up, the primary does', async (t) => {
  const { rules, number, aci, registerWith } = await openLocked(t)
  rules.clock.advance(3 * DAY_MS)
  assert.ok(await rules.accounts.authenticate({ username: aci, password: PASSWORD }))
  rules.clock.advance(5 * DAY_MS)
  assert.ok(await rules.accounts.authenticate({ username: `${aci}.2`, password: 'two' }))
  assert.equal((await registerWith(number, {})).kind, 'locked')
  rules.clock.advance(2 * DAY_MS)
  assert.equal((await registerWith(number, {})).kind, 'registered')
})

test('a failed lock leaves a recovery password if that was used, and no token was sent', async (t) => {
  const bySession = await openLocked(t)
  await bySession.registerWith(bySession.number, {})
  assert.equal(await bySession.canRecover(), false)

  const { number, recover, recoveryPassword, canRecover, logins } = await openLocked(t)
  assert.equal((await recover(number, recoveryPassword)).kind, 'locked')
  assert.deepEqual(await logins(), [false, false])
  assert.equal(await canRecover(), true)
  const registered = await recover(number, recoveryPassword, { registrationLock: TOKEN })
  assert.equal(registered.kind, 'registered')
  assert.equal((await recover(number, recoveryPassword, { registrationLock: '' })).kind, 'locked')
  assert.equal(await canRecover(), false)
})

test('a lock that is cleared holds nobody up', async (t) => {
  const { rules, number, aci, registerWith } = await openLocked(t)
  await rules.lock.clear({ aci, deviceId: 1 })
  assert.equal((await registerWith(number, { registrationLock: WRONG })).kind, 'registered')
})

test('R2: of setting a lock and registering without it at once, one is done', async (t) => {
  const { rules, registerWith, verified, register } = await openRegistrar(t)
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
  }
  const outcomes = new Set<string>()
  const race = fc.asyncProperty(fc.nat(40), fc.nat(40), async (beforeLock, beforeRegistration) => {
    const number = newNumber()
    const first = await registerWith(number, {})
    assert.ok(first.kind === 'registered')
    const { aci } = first.account
    const request = registrationOf(await verified(number))
    const [locked, registered] = await Promise.all([
      turns(beforeLock).then(() => outcomeOf(rules.lock.set({ aci, deviceId: 1 }, TOKEN))),
      turns(beforeRegistration).then(() => register(number, request, 'other')),
    ])
    const account = await rules.accounts.find(aci)
    assert.equal(account?.registrationLock !== undefined, registered.kind === 'locked')
    assert.equal(locked === 'done', registered.kind === 'locked')
    outcomes.add(registered.kind)
  })
  await fc.assert(race, { numRuns: 40 })
  assert.deepEqual([...outcomes].sort(), ['locked', 'registered'])
})

const outcomeOf = (setting: Promise<void>) =>
  setting.then(
    () => 'done',
    (error: unknown) => (error instanceof Refusal ? error.kind : Promise.reject(error)),
  )
