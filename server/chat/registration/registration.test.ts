import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ecJson,
  type makeIdentityKeys,
  makeOneTimeKeys,
  signedJson,
} from '../../../test/client/identity-keys.ts'
import { newKeys, PASSWORD, registrationOf } from '../../../test/person.ts'
import { openRegistrar, refusedAs } from '../../../test/registrar.ts'
import { newNumber, sampleDevice } from '../../../test/sample-account.ts'
import { keysRoutes } from '../../../wire/rest/keys.ts'
import type { Registration as RegistrationRequest } from '../../../wire/rest/registration.ts'
import type { E164 } from '../../../wire/types.ts'
import { numbered } from '../accounts/account.ts'
import { Admission } from '../admission/admission.ts'
import { queueOf } from '../messages/store.ts'
import { Registration } from './registration.ts'

const NO_BOUNDS = {
  minFreeDisk: 0,
  minFreeMemory: 0,
  measure: async () => ({ diskBytes: 0, memoryBytes: 0 }),
}
const START_MS = Date.UTC(2026, 0, 1)

const stored = (keys: ReturnType<typeof makeIdentityKeys>) => {
  const { ec, kyber } = makeOneTimeKeys(keys.pair, 3)
  const { preKeys, pqPreKeys } = keysRoutes.store.body.decode(
    Buffer.from(JSON.stringify({ preKeys: ec.map(ecJson), pqPreKeys: kyber.map(signedJson) })),
  )
  return { ec: preKeys!, kem: pqPreKeys! }
}

test('a new account is what its device said, and its device may authenticate', async (t) => {
  const { rules, person } = await openRegistrar(t)
  const number = newNumber()
  const keys = newKeys()
  const { aci, pni } = await person(number, keys)
  const account = await rules.accounts.find(pni)
  assert.equal(account?.aci, aci)
  assert.equal(account?.e164, number)
  assert.deepEqual(Buffer.from(account!.aciIdentityKey), Buffer.from(keys.aci.pair.publicKey.serialize()))
  assert.deepEqual(Buffer.from(account!.pniIdentityKey!), Buffer.from(keys.pni.pair.publicKey.serialize()))
  const [device] = account!.devices
  assert.deepEqual(
    [device?.registrationId, device?.pniRegistrationId, device?.userAgent, device?.lastSeenMs],
    [keys.aci.registrationId, keys.pni.registrationId, 'OWA', START_MS],
  )
  assert.deepEqual(await rules.accounts.authenticate({ username: aci, password: PASSWORD }), {
    aci,
    deviceId: 1,
  })
})

test('registering again keeps the identities, and ends all that the old devices had', async (t) => {
  const { rules, verified, register, person } = await openRegistrar(t)
  const { accounts, keys, queues, store, clock } = rules
  const number = newNumber()
  const oldKeys = newKeys()
  const old = await person(number, oldKeys)
  const linked = { ...old, version: 2, devices: [...old.devices, sampleDevice({ id: 2 })] }
  assert.ok(await accounts.put(linked, []))
  const own = { aci: old.aci, deviceId: 1 }
  for (const identity of ['aci', 'pni'] as const) await keys.store(own, identity, stored(oldKeys[identity]))
  const queue = queueOf(linked, linked.devices[0]!)
  const about = { type: 1, source: undefined, destination: old.aci, clientTimestampMs: 1, story: false }
  await queues.add([{ queue, envelope: Buffer.of(8, 1), about, urgent: true }])
  let sentAway = 0
  queues.listenToDevice({ aci: old.aci, deviceId: 1 }, () => sentAway++)
  clock.advance(5_000)

  const again = await register(number, registrationOf(await verified(number)), 'another password')
  assert.ok(again.kind === 'registered')
  const { account, previous } = again
  assert.deepEqual([account.aci, account.pni, account.e164], [old.aci, old.pni, number])
  assert.equal(account.createdAtMs, old.createdAtMs)
  assert.equal(previous?.devices.length, 2)
  assert.deepEqual(
    account.devices.map((device) => [device.id, device.createdAtMs]),
    [[1, START_MS + 5_000]],
  )
  assert.notDeepEqual(account.aciIdentityKey, old.aciIdentityKey)
  for (const identity of ['aci', 'pni'] as const)
    assert.deepEqual(await keys.count(own, identity), { ec: 0, kem: 0 })
  assert.ok(await store.isEmpty(queue))
  assert.ok(await store.isEmpty(queueOf(account, account.devices[0]!)))
  assert.equal(sentAway, 1)
  assert.equal(await accounts.authenticate({ username: old.aci, password: PASSWORD }), undefined)
})

test("a device's time of creation moves on even if the clock does not", async (t) => {
  const { rules, person } = await openRegistrar(t)
  const number = newNumber()
  const times = []
  for (const stepMs of [0, 0, -3_600_000]) {
    rules.clock.set(rules.clock.nowMs() + stepMs)
    times.push((await person(number)).devices[0]!.createdAtMs)
  }
  assert.deepEqual(times, [START_MS, START_MS + 1, START_MS + 2])
})

test('registrations of one number at once leave one account, with the keys of the last', async (t) => {
  const { rules, verified, register } = await openRegistrar(t)
  const number = newNumber()
  const sessions = []
  for (let count = 0; count < 8; count++) sessions.push(await verified(number))
  const registered = await Promise.all(
    sessions.map((session, index) => register(number, registrationOf(session), `password ${index}`)),
  )
  const accounts = registered.map((one) => (one.kind === 'registered' ? one.account : assert.fail(one.kind)))
  assert.equal(new Set(accounts.map(({ aci }) => aci)).size, 1)
  assert.equal(registered.filter((one) => one.kind === 'registered' && !one.previous).length, 1)
  const versions = accounts.map(({ version }) => version).sort()
  assert.deepEqual(versions, [1, 2, 3, 4, 5, 6, 7, 8])
  const last = accounts.findIndex(({ version }) => version === 8)
  const { aci, pni } = numbered(accounts[last]!)
  for (const id of [aci, pni]) {
    const identity = id === aci ? 'aciIdentityKey' : 'pniIdentityKey'
    const taken = await rules.keys.take({ kind: 'device', device: { aci, deviceId: 1 } }, id, undefined)
    assert.ok(taken.kind === 'taken')
    assert.deepEqual(Buffer.from(taken.identityKey), Buffer.from(accounts[last]![identity]!))
  }
  for (const index of accounts.keys()) {
    const password = `password ${index}`
    const device = await rules.accounts.authenticate({ username: aci, password })
    assert.equal(device !== undefined, index === last)
  }
  assert.deepEqual(await rules.sql.read('SELECT COUNT(*) AS n FROM accounts'), [{ n: 1 }])
})

test('a session is good for one registration, also for two at once', async (t) => {
  const { verified, register } = await openRegistrar(t)
  const number = newNumber()
  const session = await verified(number)
  const both = await Promise.all([0, 1].map(() => register(number, registrationOf(session))))
  assert.deepEqual(both.map(({ kind }) => kind).sort(), ['registered', 'unverified'])
  assert.equal((await register(number, registrationOf(session))).kind, 'unverified')
})

test('a session of another number, or of nobody, proves nothing', async (t) => {
  const { verified, register } = await openRegistrar(t)
  const session = await verified(newNumber())
  assert.equal((await register(newNumber(), registrationOf(session))).kind, 'foreign-session')
  assert.equal((await register(newNumber(), registrationOf('nobody'))).kind, 'unverified')
})

test('a closed server refuses new numbers only, and does not spend their sessions', async (t) => {
  const { rules, verified, register, person } = await openRegistrar(t)
  const known = newNumber()
  const { aci } = await person(known)
  const admission = new Admission({ ...rules, ...NO_BOUNDS, mode: 'closed' })
  const closed = new Registration({ ...rules, requiredCapabilities: [], admission })
  const registerClosed = (number: string, session: string) =>
    closed.register({ username: number, password: PASSWORD }, registrationOf(session), undefined)
  const fresh = newNumber()
  const session = await verified(fresh)
  assert.equal((await registerClosed(fresh, session)).kind, 'closed')
  assert.equal((await register(fresh, registrationOf(session))).kind, 'registered')
  const again = await registerClosed(known, await verified(known))
  assert.ok(again.kind === 'registered')
  assert.equal(again.account.aci, aci)
})

test('a client without a capability that is demanded is too old, and loses nothing', async (t) => {
  const { rules, verified, register } = await openRegistrar(t, {
    registration: { requiredCapabilities: ['spqr', 'storage'] },
  })
  const number = newNumber()
  const session = await verified(number)
  assert.equal((await register(number, registrationOf(session))).kind, 'capability-missing')
  assert.equal((await rules.verification.prove(session, number as E164)).kind, 'proven')
  const { accountAttributes } = registrationOf(session)
  const capabilities = new Set(['spqr', 'storage', 'transfer'] as const)
  const able = { ...registrationOf(session), accountAttributes: { ...accountAttributes, capabilities } }
  assert.equal((await register(number, able)).kind, 'registered')
})

test('a primary device that can hand over is asked first, unless that is skipped', async (t) => {
  const { rules, verified, register, person } = await openRegistrar(t)
  const number = newNumber()
  const { aci } = await person(number)
  await rules.accounts.setCapabilities({ aci, deviceId: 1 }, new Set(['transfer']))
  const session = await verified(number)
  const asking = { ...registrationOf(session), skipDeviceTransfer: false }
  assert.equal((await register(number, asking)).kind, 'transfer-possible')
  assert.equal((await register(number, { ...asking, skipDeviceTransfer: true })).kind, 'registered')
})

test('what does not fit together is named, and spends nothing', async (t) => {
  const { rules, verified, register } = await openRegistrar(t)
  const number = newNumber()
  const session = await verified(number)
  const good = registrationOf(session)
  const attributes = good.accountAttributes
  const stranger = registrationOf(session)
  const spoilt: [string, Partial<RegistrationRequest>][] = [
    ['sessionId', { sessionId: undefined }],
    ['sessionId', { recoveryPassword: Buffer.alloc(32) }],
    ['fetchesMessages', { accountAttributes: { ...attributes, fetchesMessages: false } }],
    ['fetchesMessages', { gcmToken: { gcmRegistrationId: 'x' } }],
    ['pniRegistrationId', { accountAttributes: { ...attributes, pniRegistrationId: undefined } }],
    ['unidentifiedAccessKey', { accountAttributes: { ...attributes, unidentifiedAccessKey: undefined } }],
    ['unidentifiedAccessKey', { accountAttributes: { ...attributes, unidentifiedAccessKey: Buffer.of() } }],
    ['pniIdentityKey', { pniIdentityKey: undefined }],
    ['pniIdentityKey', { pniSignedPreKey: null }],
    ['pniIdentityKey', { pniPqLastResortPreKey: null }],
    ['aciIdentityKey', { aciIdentityKey: Buffer.alloc(33) }],
    ['aciSignedPreKey', { aciSignedPreKey: stranger.aciSignedPreKey }],
    ['aciSignedPreKey', { aciSignedPreKey: good.pniSignedPreKey! }],
    ['aciPqLastResortPreKey', { aciPqLastResortPreKey: stranger.aciPqLastResortPreKey }],
    ['pniSignedPreKey', { pniSignedPreKey: good.aciSignedPreKey }],
    ['pniPqLastResortPreKey', { pniPqLastResortPreKey: good.aciPqLastResortPreKey }],
  ]
  for (const [field, change] of spoilt)
    await assert.rejects(register(number, { ...good, ...change }), refusedAs('invalid', field), field)
  await assert.rejects(register(number, good, ''), refusedAs('invalid-credentials'))
  assert.deepEqual(
    rules.limited.filter((taken) => taken.startsWith('registration')),
    [],
  )
  assert.equal((await register(number, good)).kind, 'registered')
})

test('registrations of a number are counted', async (t) => {
  const { verified, register } = await openRegistrar(t, { limits: { registration: { bucket: 2 } } })
  const number = newNumber() as E164
  const request = registrationOf(await verified(number))
  for (let count = 0; count < 2; count++) await register(number, { ...request, sessionId: 'nobody' })
  await assert.rejects(register(number, request), refusedAs('rate-limited'))
  assert.equal((await register(newNumber(), request)).kind, 'foreign-session')
})

test('R5: a device before that deletes its account meanwhile does not delete the next one', async (t) => {
  const { rules, verified, register, person } = await openRegistrar(t)
  const number = newNumber()
  const { aci } = await person(number)
  const request = registrationOf(await verified(number))
  // On disk, and nobody knows yet.
  const hold = rules.sql.hold(/UPDATE accounts SET version/)
  const registering = register(number, request, 'another')
  await hold.reached
  const deleting = rules.accounts.deleteBy({ aci, deviceId: 1 })
  await assert.rejects(deleting, refusedAs('invalid-credentials'))
  hold.release()
  assert.equal((await registering).kind, 'registered')
  assert.ok(await rules.accounts.authenticate({ username: aci, password: 'another' }))
})
