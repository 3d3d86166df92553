import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRegistrar } from '../../../test/registrar.ts'
import { newNumber, sampleDevice } from '../../../test/sample-account.ts'
import { ScriptedGateway } from '../../../test/scripted-gateway.ts'

/** Somebody with a lock, a phone, and two more devices, of which one can be woken. */
async function open(t: TestContext) {
  const gateway = new ScriptedGateway()
  const registrar = await openRegistrar(t, { push: gateway })
  const { rules, registerWith } = registrar
  const number = newNumber()
  const registered = await registerWith(number, { registrationLock: 'ab'.repeat(32) })
  assert.ok(registered.kind === 'registered')
  const { aci } = registered.account
  await rules.accounts.update(aci, (account) => ({
    ...account,
    devices: [
      { ...account.devices[0]!, fetchesMessages: false, fcmToken: 'phone' },
      sampleDevice({ id: 2, apnToken: 'tablet' }),
      sampleDevice({ id: 3 }),
    ],
  }))
  const tidings = rules.tidings!
  await tidings.idle()
  gateway.pushes.length = 0
  const told = async () => {
    await tidings.idle()
    return gateway.pushes.splice(0).map(({ to, notice }) => [to.service === 'web' ? '' : to.token, notice])
  }
  return { ...registrar, gateway, number, told }
}

test('who asks for a code for a number does not wait until its owner is told, and is told nothing', async (t) => {
  const { rules, number, gateway, told } = await open(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  gateway.gate = promise
  const ask = async (e164: string) => {
    const opened = await rules.verification.open(e164)
    assert.ok(opened.kind === 'opened')
    const requested = await rules.verification.requestCode(opened.session.id, 'sms')
    return { ...requested, session: 'session' in requested && { ...requested.session, id: '' } }
  }
  assert.deepEqual(await ask(number), await ask(newNumber()))
  resolve()
  const notice = { kind: 'verificationCode', atMs: rules.clock.nowMs() }
  assert.deepEqual(await told(), [
    ['phone', notice],
    ['tablet', notice],
  ])
})

test('the devices that can be woken are told of who met the registration lock, whatever the provider says', async (t) => {
  const { number, registerWith, gateway, told } = await open(t)
  gateway.answers.push({ kind: 'sent' }, { kind: 'sent' }, { kind: 'later', afterMs: 0 })
  assert.equal((await registerWith(number, {})).kind, 'locked')
  const notices = (await told()).filter(([, notice]) => (notice as { kind: string }).kind === 'attemptLogin')
  const notice = { kind: 'attemptLogin', value: 'failedRegistrationLock' }
  assert.deepEqual(notices, [
    ['phone', notice],
    ['tablet', notice],
  ])
})

test('who opens the lock is no news', async (t) => {
  const { number, registerWith, told } = await open(t)
  assert.equal((await registerWith(number, { registrationLock: 'ab'.repeat(32) })).kind, 'registered')
  for (const [, notice] of await told()) assert.equal((notice as { kind: string }).kind, 'verificationCode')
})

test('a provider that does not answer is not asked more and more', async (t) => {
  const { rules, number, gateway } = await open(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  gateway.gate = promise
  const account = (await rules.accounts.findByNumber(number))!
  for (let count = 0; count < 1000; count++) rules.tidings!.lockMet(account)
  assert.equal(gateway.pushes.length, 2 * 64)
  resolve()
  await rules.tidings!.idle()
})
