import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { registrationOf } from '../../../test/person.ts'
import { openRegistrar, refusedAs } from '../../../test/registrar.ts'
import { newNumber } from '../../../test/sample-account.ts'
import { passwordAt, STEP_S, stepAt } from './one-time-password.ts'
import { CONFIRM_WITHIN_MS, MAX_KEYS } from './totp.ts'

const STEP_MS = STEP_S * 1000
const METADATA = Buffer.alloc(160, 1)
const LIMITS = {
  checkTotp: { bucket: 1000 },
  registration: { bucket: 100 },
  verificationSession: { bucket: 100 },
}

async function openOwner(t: TestContext, limits: object = LIMITS) {
  const registrar = await openRegistrar(t, { limits })
  const { rules, person } = registrar
  const { totp, clock } = rules
  const number = newNumber()
  const { aci } = await person(number)
  const device = { aci, deviceId: 1 }
  const passwordOf = (key: Uint8Array, steps = 0) => Number(passwordAt(key, stepAt(clock.nowMs()) + steps))
  const confirm = (key: Uint8Array, steps = 0) => totp.confirm(device, passwordOf(key, steps), METADATA)
  const newKey = async () => {
    const key = (await totp.generate(device))!
    return { key, id: (await confirm(key))! }
  }
  return { ...registrar, totp, clock, number, aci, device, passwordOf, confirm, newKey }
}

test("passwords are RFC 6238's", () => {
  const secret = Buffer.from('12345678901234567890123456789012')
  const vectors: [number, string][] = [
    [59, '119246'],
    [1_111_111_109, '084774'],
    [1_234_567_890, '819424'],
    [20_000_000_000, '737706'],
  ]
  for (const [seconds, password] of vectors)
    assert.equal(passwordAt(secret, stepAt(seconds * 1000)), password)
})

test('a password is good in its step, and for fifteen seconds after it', async (t) => {
  const { totp, clock, device, confirm } = await openOwner(t)
  clock.set(Math.ceil(clock.nowMs() / STEP_MS) * STEP_MS)
  const startMs = clock.nowMs()
  const key = (await totp.generate(device))!
  assert.equal(await confirm(key, 1), undefined)
  assert.equal(await confirm(key, -2), undefined)
  clock.set(startMs + 15_000)
  assert.equal(await confirm(key, -1), undefined)
  clock.set(startMs + 14_999)
  assert.equal(await confirm(key, -1), 0)
})

test('a password is accepted once, and one of an earlier step no more', async (t) => {
  const { totp, clock, device, newKey, passwordOf } = await openOwner(t)
  const { key } = await newKey()
  assert.equal(await totp.verify(device, passwordOf(key)), false, 'it confirmed the key')
  clock.advance(2 * STEP_MS)
  const password = passwordOf(key)
  const verified = await Promise.all(Array.from({ length: 5 }, () => totp.verify(device, password)))
  assert.deepEqual(verified.filter(Boolean), [true])
  assert.equal(await totp.verify(device, passwordOf(key, -1)), false)
  clock.advance(STEP_MS)
  assert.equal(await totp.verify(device, passwordOf(key)), true)
})

test('a key is confirmed within a day, or not at all; to ask again is no harm', async (t) => {
  const { totp, clock, device, confirm } = await openOwner(t)
  const late = (await totp.generate(device))!
  clock.advance(CONFIRM_WITHIN_MS)
  assert.equal(await confirm(late), undefined)
  const key = (await totp.generate(device))!
  assert.equal(await confirm(key), 0)
  assert.equal(await confirm(key), 0)
  assert.equal((await totp.list(device)).length, 1)
  clock.advance(2 * STEP_MS)
  assert.equal(await confirm(key), undefined)
})

test('an account never has more than two keys, however many are confirmed at once', async (t) => {
  const { totp, device, confirm, newKey } = await openOwner(t)
  await newKey()
  const key = (await totp.generate(device))!
  const ids = await Promise.all([confirm(key), confirm(key), confirm(key)])
  assert.deepEqual(ids, [1, 1, 1])
  assert.equal((await totp.list(device)).length, MAX_KEYS)
  assert.equal(await totp.generate(device), undefined)
  await totp.remove(device, 0)
  assert.equal((await newKey()).id, 2)
})

test('tries are limited, those at registration and those by the owner together', async (t) => {
  const { totp, device, newKey, passwordOf, clock, number, verified, register } = await openOwner(t, {
    ...LIMITS,
    checkTotp: { bucket: 3 },
  })
  const { key } = await newKey()
  clock.advance(60_000)
  const wrong = (passwordOf(key) + 1) % 1_000_000
  const request = registrationOf(await verified(number))
  const withPassword = (password: number) => register(number, { ...request, totp: password })
  assert.equal((await withPassword(wrong)).kind, 'totp-needed')
  assert.equal(await totp.verify(device, wrong), false)
  assert.equal(await totp.verify(device, wrong), false)
  await assert.rejects(withPassword(passwordOf(key)), refusedAs('rate-limited'))
  clock.advance(6_000)
  assert.equal((await withPassword(passwordOf(key))).kind, 'registered')
})

test('who registers needs a password of an account that has a key, and must not give one to another', async (t) => {
  const { clock, newKey, passwordOf, number, verified, register, person } = await openOwner(t)
  const { key } = await newKey()
  clock.advance(2 * STEP_MS)
  const request = registrationOf(await verified(number))
  assert.equal((await register(number, request)).kind, 'totp-needed')
  const password = passwordOf(key)
  assert.equal((await register(number, { ...request, totp: password })).kind, 'registered')
  const again = registrationOf(await verified(number))
  assert.equal((await register(number, { ...again, totp: password })).kind, 'totp-needed', 'it was used')
  const other = newNumber()
  await person(other)
  const given = { ...registrationOf(await verified(other)), totp: password }
  assert.equal((await register(other, given)).kind, 'totp-needed')
})
