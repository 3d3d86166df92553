import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { openRules, type Rules, type RulesOptions, serverSecretParams } from '../../../test/chat-rules.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { PASSWORD, registrationOf } from '../../../test/person.ts'
import { receiptPresentation } from '../../../test/receipt.ts'
import { refusedAs } from '../../../test/registrar.ts'
import type { Registration } from '../../../wire/rest/registration.ts'
import type { Aci } from '../../../wire/types.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Account } from '../accounts/account.ts'
import { passwordAt, STEP_S, stepAt } from '../totp/one-time-password.ts'

const requestOf = (change: Partial<Registration>, recoveryPassword: Uint8Array): Registration => {
  const { sessionId: _, ...request } = registrationOf('')
  const accountAttributes = { ...request.accountAttributes, recoveryPassword }
  return { ...request, accountAttributes, ...change }
}

async function open(t: TestContext, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const receipt = () =>
    receiptPresentation(serverSecretParams(), (rules.clock.nowMs() + 30 * DAY_MS) / 1000, 300n)
  const recoveryPassword = randomBytes(32)
  const join = async () => {
    const request = requestOf({ receiptCredentialPresentation: receipt() }, recoveryPassword)
    const joined = await rules.registration.register(as('__no_number__'), request, 'OWA')
    assert.ok(joined.kind === 'registered')
    return joined.account
  }
  return { rules, receipt, recoveryPassword, join }
}

const as = (username: string, password = PASSWORD) => ({ username, password })
const recover = (
  { registration }: Rules,
  aci: Aci,
  password: Uint8Array,
  change: Partial<Registration> = {},
) => registration.register(as(aci), requestOf({ recoveryPassword: password, ...change }, password), 'OWA')

forEachEngine(
  'an account without a number is stored, read and recovered as it was made',
  async (engine, t) => {
    const { rules, recoveryPassword, join } = await open(t, { engine })
    const account = await join()
    const read = await rules.accounts.find(account.aci)
    for (const one of [account, read!]) {
      assert.deepEqual(
        [one.pni, one.e164, one.pniIdentityKey, one.devices[0]?.pniRegistrationId, one.registrationLock],
        Array(5).fill(undefined),
      )
      assert.equal(one.discoverableByPhoneNumber, false)
      assert.equal(one.authCredentialSalt?.length, 16)
    }
    assert.deepEqual(await rules.sql.read('SELECT * FROM account_pnis'), [])
    assert.deepEqual(await rules.sql.read("SELECT * FROM one_time_ec_pre_keys WHERE identity = 'pni'"), [])
    assert.deepEqual(await rules.sql.read("SELECT * FROM repeated_use_pre_keys WHERE identity = 'pni'"), [])
    // Nothing but its password gets it back: that does not end.
    rules.clock.advance(400 * DAY_MS)
    await rules.recovery.expire()
    const again = await recover(rules, account.aci, recoveryPassword)
    assert.ok(again.kind === 'registered')
    assert.deepEqual(
      [again.account.aci, again.account.version, again.account.pni],
      [account.aci, 2, undefined],
    )
    const saltOf = (one: Account) => Buffer.from(one.authCredentialSalt!).toString('hex')
    assert.notEqual(saltOf(again.account), saltOf(account))
  },
)

test('two accounts without a number do not get in the way of each other', async (t) => {
  const { rules, join } = await open(t)
  const [ada, boris] = [await join(), await join()]
  assert.notEqual(ada.aci, boris.aci)
  await rules.accounts.delete(ada.aci)
  assert.equal(await rules.accounts.find(ada.aci), undefined)
  assert.ok(await rules.accounts.find(boris.aci))
  assert.deepEqual(await rules.sql.read('SELECT * FROM deleted_accounts'), [])
  assert.deepEqual(await rules.sql.read('SELECT COUNT(*) AS n FROM account_recovery_passwords'), [{ n: 1 }])
})

test('the password that a device sets is the one that recovers', async (t) => {
  const { rules, recoveryPassword, join } = await open(t)
  const { aci } = await join()
  const fresh = randomBytes(32)
  await rules.recovery.set({ aci, deviceId: 1 }, fresh)
  assert.equal((await recover(rules, aci, recoveryPassword)).kind, 'recovery-refused')
  assert.equal((await recover(rules, aci, fresh)).kind, 'registered')
})

test('who recovers brings what is needed, and a password that changes meanwhile recovers nothing', async (t) => {
  const { rules, recoveryPassword, join } = await open(t)
  const { aci } = await join()
  const withoutPni = { pniIdentityKey: null, pniSignedPreKey: null, pniPqLastResortPreKey: null }
  await assert.rejects(recover(rules, aci, recoveryPassword, withoutPni), refusedAs('bad-request'))
  const { accountAttributes } = requestOf({}, recoveryPassword)
  const forgetful = { accountAttributes: { ...accountAttributes, recoveryPassword: undefined } }
  await assert.rejects(recover(rules, aci, recoveryPassword, forgetful), refusedAs('bad-request'))
  const session = { recoveryPassword: undefined, sessionId: 'x' }
  await assert.rejects(recover(rules, aci, recoveryPassword, session), refusedAs('bad-request'))
  const hold = rules.sql.hold(/SELECT salt, hash FROM account_recovery_passwords/)
  const recovering = recover(rules, aci, recoveryPassword)
  await hold.reached
  await rules.recovery.set({ aci, deviceId: 1 }, randomBytes(32))
  hold.release()
  assert.equal((await recovering).kind, 'recovery-refused')
})

test('tries to recover an account are counted', async (t) => {
  const { rules, recoveryPassword, join } = await open(t, { limits: { registration: { bucket: 2 } } })
  const { aci } = await join()
  for (let count = 0; count < 2; count++)
    assert.equal((await recover(rules, aci, randomBytes(32))).kind, 'recovery-refused')
  await assert.rejects(recover(rules, aci, recoveryPassword), refusedAs('rate-limited'))
})

test('a receipt is one account, however many ask at once, and none where nobody may come in', async (t) => {
  const { rules, receipt, recoveryPassword } = await open(t, { registration: { mode: 'invite' } })
  const request = requestOf({ receiptCredentialPresentation: receipt() }, recoveryPassword)
  const ask = () => rules.registration.register(as('__no_number__'), request, 'OWA')
  await rules.admission.stop()
  await assert.rejects(ask(), refusedAs('unavailable'))
  await rules.admission.start()
  const asked = await Promise.allSettled(Array.from({ length: 5 }, ask))
  const made = asked.filter((one) => one.status === 'fulfilled')
  assert.equal(made.length, 1)
  for (const one of asked)
    if (one.status === 'rejected') assert.ok(refusedAs('invalid-credentials')(one.reason))
  assert.deepEqual(await rules.sql.read('SELECT COUNT(*) AS n FROM accounts'), [{ n: 1 }])
})

test('of two who show a receipt before either has used it one gets an account', async (t) => {
  const { rules, receipt, recoveryPassword } = await open(t)
  const request = requestOf({ receiptCredentialPresentation: receipt() }, recoveryPassword)
  const ask = () => rules.registration.register(as('__no_number__'), request, 'OWA')
  const hold = rules.sql.hold(/SELECT serial_hash FROM redeemed_login_receipts/)
  const both = Promise.allSettled([ask(), ask()])
  await hold.reached
  hold.release()
  const settled = (await both).map(({ status }) => status).sort()
  assert.deepEqual(settled, ['fulfilled', 'rejected'])
  assert.deepEqual(await rules.sql.read('SELECT COUNT(*) AS n FROM accounts'), [{ n: 1 }])
})

test('a used receipt is remembered until it ends, by a hash', async (t) => {
  const { rules, join } = await open(t)
  await join()
  const count = async () => (await rules.sql.read('SELECT * FROM redeemed_login_receipts')).length
  rules.clock.advance(30 * DAY_MS - 1)
  await rules.loginReceipts.expire()
  assert.equal(await count(), 1)
  rules.clock.advance(1)
  await rules.loginReceipts.expire()
  assert.equal(await count(), 0)
})

test('a one-time password is asked of who recovers an account that has keys for them', async (t) => {
  const { rules, recoveryPassword, join } = await open(t)
  const { aci } = await join()
  const device = { aci, deviceId: 1 }
  const key = (await rules.totp.generate(device))!
  const passwordNow = () => Number(passwordAt(key, stepAt(rules.clock.nowMs())))
  assert.notEqual(await rules.totp.confirm(device, passwordNow(), randomBytes(160)), undefined)
  rules.clock.advance(STEP_S * 1000)
  assert.equal((await recover(rules, aci, recoveryPassword)).kind, 'totp-needed')
  assert.equal((await recover(rules, aci, recoveryPassword, { totp: passwordNow() })).kind, 'registered')
})
