import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type RulesOptions } from '../../../test/chat-rules.ts'
import { makeKyberPreKey, makeOneTimeKeys, makeSignedPreKey } from '../../../test/client/identity-keys.ts'
import { deviceQueue, send } from '../../../test/conversants.ts'
import { addOwner, join, linked, newDevice, primaryOf, sharedKeys, tokenOf } from '../../../test/joiner.ts'
import { newKeys } from '../../../test/person.ts'
import { sampleDevice } from '../../../test/sample-account.ts'
import type { Capability } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Account, deviceOf } from '../accounts/account.ts'
import { passwordMatches } from '../accounts/device-password.ts'
import { queueOf } from '../messages/store.ts'
import type { NewDevice } from './new-device.ts'

const WIDE = { allocateDevice: { bucket: 1000 }, verifyDevice: { bucket: 1000 } }
const MINUTE_MS = 60_000
const patient = { onGone: () => ({ cancel: () => {} }) }

async function open(t: TestContext, fields: Parameters<typeof addOwner>[1] = {}, options: RulesOptions = {}) {
  const rules = await openRules(t, { limits: WIDE, ...options })
  const account = await addOwner(rules, fields)
  const now = async () => (await rules.accounts.find(account.aci))!
  const count = async (table: string) =>
    (await rules.sql.read(`SELECT COUNT(*) AS n FROM ${table}`))[0]!['n'] as number
  return { rules, account, aci: account.aci, primary: primaryOf(account.aci), now, count }
}

const refusedAs = (kind: Refusal['kind'], field?: string) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind && (field === undefined || error.detail.field === field)

test('a linked device is what it said, may authenticate, and has its keys', async (t) => {
  const { rules, aci, now } = await open(t)
  const name = Buffer.from('encrypted')
  const capabilities = new Set<Capability>(['spqr', 'attachmentBackfill'])
  const { device } = await join(rules, aci, newDevice({ name, capabilities }))
  const stored = deviceOf(await now(), device.id)!
  assert.deepEqual([stored.id, stored.registrationId, stored.pniRegistrationId], [2, 301, 302])
  assert.deepEqual([Buffer.from(stored.name!), stored.capabilities], [name, capabilities])
  assert.deepEqual([stored.fetchesMessages, stored.userAgent], [true, 'OWD'])
  assert.ok(passwordMatches(stored, 'a new password'))
  const login = { username: `${aci}.2`, password: 'a new password' }
  assert.deepEqual(await rules.accounts.authenticate(login), { aci, deviceId: 2 })
  const taken = await rules.keys.take({ kind: 'device', device: primaryOf(aci) }, aci, 2)
  assert.ok(taken.kind === 'taken')
  assert.equal(taken.devices[0]!.signedEc.keyId, sharedKeys().aci.signedPreKey.id())
  assert.equal(rules.counters.snapshot()['devices.linked'], 1)
})

test('the agent of a linked device follows from how it is woken', async (t) => {
  const { rules, aci, now } = await open(t)
  await join(rules, aci, newDevice({ fetchesMessages: false, apnToken: 'a' }))
  await join(rules, aci, newDevice({ fetchesMessages: false, fcmToken: 'f' }))
  assert.deepEqual(
    (await now()).devices
      .slice(1)
      .map(({ userAgent, apnToken, fcmToken }) => [userAgent, apnToken, fcmToken]),
    [
      ['OWP', 'a', undefined],
      ['OWA', undefined, 'f'],
    ],
  )
})

test('when a device was linked only the account’s identity key can read, and only for that device', async (t) => {
  const { rules, aci } = await open(t)
  const { device } = await join(rules, aci)
  const { privateKey } = sharedKeys().aci.pair
  const about = (id: number, registrationId: number) => {
    const bytes = Buffer.alloc(5)
    bytes.writeUInt8(id)
    bytes.writeUInt32BE(registrationId, 1)
    return new Uint8Array(bytes)
  }
  const sealed = new Uint8Array(device.createdAtCiphertext!)
  const opened = privateKey.open(sealed, 'deviceCreatedAt', about(2, 301))
  assert.equal(Number(Buffer.from(opened).readBigUInt64BE()), device.createdAtMs)
  assert.throws(() => privateKey.open(sealed, 'deviceCreatedAt', about(3, 301)))
  assert.throws(() => privateKey.open(sealed, 'deviceCreatedAt', about(2, 302)))
  assert.throws(() => newKeys().aci.pair.privateKey.open(sealed, 'deviceCreatedAt', about(2, 301)))
})

test('D1: only the primary device gets a token, and only while there is room', async (t) => {
  const { rules, aci, primary } = await open(t, { deviceCount: 5 })
  await assert.rejects(rules.linking.token({ aci, deviceId: 2 }), refusedAs('invalid-credentials'))
  await join(rules, aci)
  assert.deepEqual(await rules.linking.token(primary), { kind: 'full', current: 6, max: 6 })
})

test('D1: a token links one device, also when two use it at the same moment', async (t) => {
  const { rules, aci, now, count } = await open(t)
  const { token } = await tokenOf(rules, aci)
  const links = await Promise.all(Array.from({ length: 4 }, () => rules.linking.link(token, newDevice())))
  assert.deepEqual(links.map(({ kind }) => kind).sort(), ['linked', 'refused', 'refused', 'refused'])
  assert.equal((await rules.linking.link(token, newDevice())).kind, 'refused')
  assert.equal((await now()).devices.length, 2)
  assert.equal(await count('repeated_use_pre_keys'), 2)
})

test('D1: a token is over after ten minutes, and used it stays used when its device is gone', async (t) => {
  const { rules, aci, primary } = await open(t)
  const late = await tokenOf(rules, aci)
  rules.clock.advance(10 * MINUTE_MS)
  assert.equal((await rules.linking.link(late.token, newDevice())).kind, 'refused')
  const { token } = await tokenOf(rules, aci)
  linked(await rules.linking.link(token, newDevice()))
  await rules.devices.remove(primary, 2)
  rules.clock.advance(9 * MINUTE_MS)
  await rules.transfers.expire()
  assert.equal((await rules.linking.link(token, newDevice())).kind, 'refused')
})

test('D1: a token from before the account was registered anew lets nobody in', async (t) => {
  const { rules, aci, now } = await open(t)
  const { token } = await tokenOf(rules, aci)
  rules.clock.advance(1)
  const account = await now()
  const anew = sampleDevice({ createdAtMs: rules.clock.nowMs() })
  const replaced = { ...account, version: account.version + 1, devices: [anew] }
  assert.ok(await rules.accounts.put(replaced, rules.accounts.replacing(account)))
  assert.equal((await rules.linking.link(token, newDevice())).kind, 'refused')
  linked(await rules.linking.link((await tokenOf(rules, aci)).token, newDevice()))
})

test('a token of an account that is gone lets nobody in', async (t) => {
  const { rules, aci, count } = await open(t)
  const { token } = await tokenOf(rules, aci)
  await join(rules, aci)
  await rules.accounts.delete(aci)
  assert.equal((await rules.linking.link(token, newDevice())).kind, 'refused')
  for (const table of ['devices', 'repeated_use_pre_keys', 'used_link_tokens'])
    assert.equal(await count(table), 0)
})

test('D2: there are six devices at most, however many come at once', async (t) => {
  const { rules, aci, now, count } = await open(t)
  const tokens = await Promise.all(Array.from({ length: 9 }, () => tokenOf(rules, aci)))
  // Tokens of one millisecond are the same token.
  assert.equal(new Set(tokens.map(({ token }) => token)).size, 1)
  const different = []
  for (let index = 0; index < 9; index++) {
    rules.clock.advance(1)
    different.push((await tokenOf(rules, aci)).token)
  }
  const links = await Promise.all(different.map((token) => rules.linking.link(token, newDevice())))
  const kinds = links.map(({ kind }) => kind)
  assert.deepEqual(kinds.filter((kind) => kind === 'linked').length, 5)
  assert.deepEqual(kinds.filter((kind) => kind === 'full').length, 4)
  assert.deepEqual(
    (await now()).devices.map(({ id }) => id),
    [1, 2, 3, 4, 5, 6],
  )
  assert.equal(await count('used_link_tokens'), 5, 'whoever found no room keeps the token')
  assert.deepEqual(
    links.find(({ kind }) => kind === 'full'),
    { kind: 'full', current: 6, max: 6 },
  )
})

test('a device takes the lowest id that is free', async (t) => {
  const { rules, aci, primary } = await open(t, { deviceCount: 4 })
  await rules.devices.remove(primary, 3)
  assert.equal((await join(rules, aci)).device.id, 3)
  rules.clock.advance(1)
  assert.equal((await join(rules, aci)).device.id, 5)
})

test('D2: a device that has the id of another has another life, and nothing of the other’s', async (t) => {
  const { rules, aci, primary, now, count } = await open(t)
  const first = await join(rules, aci)
  const before = first.account
  const queue = deviceQueue(before, first.device)
  await rules.devices.remove(primary, 2)
  // A message and keys that were on their way when the device was removed.
  await rules.queues.add([
    { queue, envelope: Buffer.of(1), about: (await letterTo(before)).about, urgent: true },
  ])
  await rules.sql.write(
    (await uploadOf(before)).map((key) => ({
      sql: `INSERT INTO one_time_ec_pre_keys (aci, identity, device_id, key_id, public_key) VALUES ($1, 'aci', 2, $2, $3)`,
      args: [Buffer.from(aci.replaceAll('-', ''), 'hex'), key.keyId, key.publicKey],
    })),
  )
  rules.clock.set(rules.clock.nowMs() - MINUTE_MS)
  const { token } = await tokenOf(rules, aci)
  const second = linked(await rules.linking.link(token, newDevice()))
  assert.equal(second.device.id, 2)
  assert.ok(second.device.createdAtMs > first.device.createdAtMs, 'even if the clock stepped back')
  assert.equal(await count('one_time_ec_pre_keys'), 0)
  const own = queueOf(await now(), second.device)
  assert.deepEqual(await rules.queues.page(own, 0, 10), [])
  assert.equal(await count('messages'), 0)

  async function letterTo(account: Account) {
    return { about: { type: 1, source: undefined, destination: account.aci } as never }
  }
  async function uploadOf(_account: Account) {
    return makeOneTimeKeys(sharedKeys().aci.pair, 2).ec.map((key) => ({
      keyId: key.id(),
      publicKey: key.publicKey().serialize(),
    }))
  }
})

test('what a new device says has to hold together, and be signed by the account', async (t) => {
  const { rules, aci, now } = await open(t)
  const { token } = await tokenOf(rules, aci)
  const stranger = newKeys()
  const { aci: own, pni } = newDevice().keys
  const signedBy = (keys: typeof stranger.aci) => {
    const key = makeSignedPreKey(keys.pair)
    return { keyId: key.id(), publicKey: key.publicKey().serialize(), signature: key.signature() }
  }
  const kemBy = (keys: typeof stranger.aci) => {
    const key = makeKyberPreKey(keys.pair, 7)
    return { keyId: 7, publicKey: key.publicKey().serialize(), signature: key.signature() }
  }
  const cases: [Partial<NewDevice>, string][] = [
    [{ fetchesMessages: false }, 'fetchesMessages'],
    [{ apnToken: 'a' }, 'fetchesMessages'],
    [{ fetchesMessages: false, apnToken: 'a', fcmToken: 'f' }, 'fetchesMessages'],
    [{ pniRegistrationId: undefined }, 'pniRegistrationId'],
    [{ capabilities: undefined }, 'capabilities'],
    [{ keys: { aci: own, pni: { ...pni, ec: undefined } } }, 'pniSignedPreKey'],
    [{ keys: { aci: own, pni: { ...pni, kem: undefined } } }, 'pniSignedPreKey'],
    [{ keys: { aci: { ...own, ec: signedBy(stranger.aci) }, pni } }, 'aciSignedPreKey'],
    [{ keys: { aci: { ...own, kem: kemBy(stranger.aci) }, pni } }, 'aciPqLastResortPreKey'],
    [{ keys: { aci: own, pni: { ...pni, ec: signedBy(sharedKeys().aci) } } }, 'pniSignedPreKey'],
    [{ keys: { aci: own, pni: { ...pni, kem: kemBy(sharedKeys().aci) } } }, 'pniPqLastResortPreKey'],
  ]
  for (const [fields, field] of cases)
    await assert.rejects(rules.linking.link(token, newDevice(fields)), refusedAs('invalid', field), field)
  const nobody = rules.linking.link(token, newDevice({ password: '' }))
  await assert.rejects(nobody, refusedAs('invalid-credentials'))
  assert.equal((await now()).devices.length, 1)
  linked(await rules.linking.link(token, newDevice()))
})

test('a device that can do less than the account is refused, and the token is not lost', async (t) => {
  const all = new Set<Capability>(['spqr', 'usernameChangeSyncMessage', 'storage'])
  const { rules, aci } = await open(t, { devices: [sampleDevice({ capabilities: all })] })
  const { token } = await tokenOf(rules, aci)
  const withCapabilities = (...names: Capability[]) =>
    rules.linking.link(token, newDevice({ capabilities: new Set(names) }))
  assert.equal((await withCapabilities()).kind, 'downgrade')
  assert.equal((await withCapabilities('spqr')).kind, 'downgrade')
  assert.equal((await withCapabilities('usernameChangeSyncMessage')).kind, 'downgrade')
  linked(await withCapabilities('spqr', 'usernameChangeSyncMessage'))
})

test('what not every device of the account can do, a new one need not', async (t) => {
  const devices = [
    sampleDevice({ capabilities: new Set(['spqr', 'usernameChangeSyncMessage']) }),
    sampleDevice({ id: 2 }),
  ]
  const { rules, aci } = await open(t, { devices })
  assert.equal((await join(rules, aci)).device.id, 3)
})

test('tokens and links are limited by account', async (t) => {
  const { rules, aci, primary } = await open(t, {}, { limits: {} })
  const { token } = await tokenOf(rules, aci)
  const old = newDevice({ capabilities: new Set() })
  for (let asked = 0; asked < 6; asked++)
    assert.equal((await rules.linking.link(token, old)).kind, 'downgrade')
  await assert.rejects(rules.linking.link(token, newDevice()), refusedAs('rate-limited'))
  for (let asked = 0; asked < 5; asked++) await tokenOf(rules, aci)
  await assert.rejects(rules.linking.token(primary), refusedAs('rate-limited'))
  assert.deepEqual(new Set(rules.limited), new Set([`allocateDevice: ${aci}`, `verifyDevice: ${aci}`]))
})

test('D2: keys that a device uploads while it is removed are not kept', async (t) => {
  const { rules, aci, primary, count } = await open(t)
  await join(rules, aci)
  const linkedDevice = { aci, deviceId: 2 }
  const ec = makeOneTimeKeys(sharedKeys().aci.pair, 2).ec.map((key) => ({
    keyId: key.id(),
    publicKey: key.publicKey().serialize(),
  }))
  await rules.keys.store(linkedDevice, 'aci', { ec })
  assert.equal(await count('one_time_ec_pre_keys'), 2)
  // The upload is checked against the account as it is before the removal, and written after it.
  const removed = rules.devices.remove(primary, 2)
  const uploaded = rules.keys.store(linkedDevice, 'aci', { ec })
  await removed
  await assert.rejects(uploaded, refusedAs('invalid-credentials'))
  assert.equal(await count('one_time_ec_pre_keys'), 0)
})

test('the primary device hears of the new one, at once if it is there already', async (t) => {
  const { rules, aci, primary } = await open(t)
  const { token, id } = await tokenOf(rules, aci)
  const waiting = rules.linking.waitForLinked(primary, id, 30, patient)
  await rules.sql.idle()
  assert.equal(rules.waits.size, 1)
  const { device } = linked(await rules.linking.link(token, newDevice()))
  assert.deepEqual(await waiting, device)
  assert.deepEqual(await rules.linking.waitForLinked(primary, id, 30, patient), device)
  rules.clock.advance(60 * MINUTE_MS)
  const over = rules.linking.waitForLinked(primary, id, 1, patient)
  await rules.sql.idle()
  rules.clock.advance(1_000)
  assert.equal(await over, undefined)
  assert.equal(rules.waits.size, 0)
})

test('nobody else hears of it: not another account, not a linked device, not with a wrong identifier', async (t) => {
  const { rules, aci, primary } = await open(t)
  const { token, id } = await tokenOf(rules, aci)
  linked(await rules.linking.link(token, newDevice()))
  const other = await addOwner(rules)
  const elsewhere = rules.linking.waitForLinked(primaryOf(other.aci), id, 1, patient)
  await rules.sql.idle()
  rules.clock.advance(1_000)
  assert.equal(await elsewhere, undefined)
  const wrong = [
    rules.linking.waitForLinked({ aci, deviceId: 2 }, id, 1, patient),
    rules.linking.waitForLinked(primary, id.subarray(1), 1, patient),
    rules.linking.waitForLinked(primary, new Uint8Array(0), 1, patient),
    rules.linking.waitForLinked(primary, id, 0, patient),
    rules.linking.waitForLinked(primary, id, 3_601, patient),
  ]
  for (const one of wrong) await assert.rejects(one, refusedAs('bad-request'))
})

test('a device that was removed again is not reported', async (t) => {
  const { rules, aci, primary } = await open(t)
  const { token, id } = await tokenOf(rules, aci)
  linked(await rules.linking.link(token, newDevice()))
  await rules.devices.remove(primary, 2)
  rules.clock.advance(1)
  await join(rules, aci)
  const waiting = rules.linking.waitForLinked(primary, id, 1, patient)
  await rules.sql.idle()
  rules.clock.advance(1_000)
  assert.equal(await waiting, undefined, 'the new device of that id came by another token')
})

test('the answer waits until the primary device has fetched what came before the link', async (t) => {
  const { rules, aci, account, primary, now } = await open(t)
  await send(rules, { to: account, timestampMs: 1 })
  const { token, id } = await tokenOf(rules, aci)
  const { device } = linked(await rules.linking.link(token, newDevice()))
  let answer: unknown = 'none'
  void rules.linking.waitForLinked(primary, id, 30, patient).then((found) => {
    answer = found
  })
  await rules.sql.idle()
  rules.clock.advance(1_000)
  await rules.sql.idle()
  assert.equal(answer, 'none')
  // What comes later reaches the new device by itself.
  await send(rules, { to: await now(), timestampMs: 2 })
  const queue = deviceQueue(await now())
  const [old] = await rules.queues.page(queue, 0, 1)
  rules.queues.remove(queue, { seq: old!.seq, previous: 0 })
  await rules.queues.settled(queue)
  await rules.sql.idle()
  assert.equal(answer, 'none')
  rules.clock.advance(1_000)
  await rules.sql.idle()
  assert.deepEqual(answer, device)
})

test('a primary device that does not fetch its messages in time gets no answer', async (t) => {
  const { rules, aci, account, primary } = await open(t)
  await send(rules, { to: account, timestampMs: 1 })
  const { token, id } = await tokenOf(rules, aci)
  linked(await rules.linking.link(token, newDevice()))
  const waiting = rules.linking.waitForLinked(primary, id, 3, patient)
  for (let second = 0; second < 3; second++) {
    await rules.sql.idle()
    rules.clock.advance(1_000)
  }
  assert.equal(await waiting, undefined)
  assert.equal(rules.waits.size, 0)
})
