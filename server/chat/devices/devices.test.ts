import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { connect, deviceQueue, send } from '../../../test/conversants.ts'
import { addOwner, join, newDevice, primaryOf } from '../../../test/joiner.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Device, deviceOf } from '../accounts/account.ts'

async function open(t: TestContext) {
  const rules = await openRules(t)
  const { aci } = await addOwner(rules)
  for (const name of ['tablet', 'laptop']) await join(rules, aci, newDevice({ name: Buffer.from(name) }))
  const device = async (id: number): Promise<Device> => deviceOf((await rules.accounts.find(aci))!, id)!
  const ids = async () => (await rules.accounts.find(aci))!.devices.map(({ id }) => id)
  const count = async (table: string) =>
    (await rules.sql.read(`SELECT COUNT(*) AS n FROM ${table} WHERE device_id = 2`))[0]!['n']
  return { ...rules, rules, aci, primary: primaryOf(aci), tablet: { aci, deviceId: 2 }, device, ids, count }
}

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

test('a removed device is gone with its keys and its queue, and its socket is sent away', async (t) => {
  const { rules, accounts, aci, devices, primary, device, ids, count, counters } = await open(t)
  const account = (await accounts.find(aci))!
  const tablet = connect(rules, account, { device: await device(2) })
  const laptop = connect(rules, account, { device: await device(3) })
  await rules.queues.add([
    {
      queue: deviceQueue(account, await device(2)),
      envelope: Buffer.of(),
      about: { type: 1 } as never,
      urgent: true,
    },
  ])
  assert.deepEqual([await count('repeated_use_pre_keys'), await count('messages')], [2, 1])
  assert.equal(await devices.remove(primary, 2), 'removed')
  assert.deepEqual(await ids(), [1, 3])
  for (const table of ['repeated_use_pre_keys', 'messages', 'devices']) assert.equal(await count(table), 0)
  assert.deepEqual([tablet.closeCode, laptop.closeCode], [4401, undefined])
  const login = { username: `${aci}.2`, password: 'a new password' }
  assert.equal(await accounts.authenticate(login), undefined)
  assert.equal(counters.snapshot()['devices.unlinked'], 1)
})

test('who may remove whom: the primary the others, a linked device itself', async (t) => {
  const { devices, primary, tablet, ids, counters } = await open(t)
  assert.equal(await devices.remove(tablet, 3), 'not-own')
  assert.equal(await devices.remove(tablet, 1), 'not-own')
  assert.equal(await devices.remove(primary, 1), 'primary')
  assert.deepEqual(await ids(), [1, 2, 3])
  assert.equal(await devices.remove(tablet, 2), 'removed')
  assert.equal(await devices.remove(primary, 2), 'removed', 'a device that is not there counts as removed')
  assert.equal(await devices.remove(primary, 100), 'removed')
  await assert.rejects(devices.remove(tablet, 2), refusedAs('invalid-credentials'))
  assert.deepEqual(await ids(), [1, 3])
  assert.equal(counters.snapshot()['devices.unlinked'], 1)
})

test('who may name whom: the primary all, a linked device itself', async (t) => {
  const { devices, primary, tablet, device } = await open(t)
  const name = (text: string) => Buffer.from(text)
  assert.equal(await devices.rename(primary, undefined, name('own')), 'renamed')
  assert.equal(await devices.rename(primary, 3, name('other')), 'renamed')
  assert.equal(await devices.rename(tablet, 2, name('itself')), 'renamed')
  assert.equal(await devices.rename(tablet, 3, name('x')), 'not-own')
  assert.equal(await devices.rename(tablet, 1, name('x')), 'not-own')
  assert.equal(await devices.rename(primary, 9, name('x')), 'not-found')
  assert.equal(await devices.rename(tablet, 9, name('x')), 'not-found')
  const names = await Promise.all([1, 2, 3].map(device))
  assert.deepEqual(
    names.map((one) => Buffer.from(one.name!).toString()),
    ['own', 'itself', 'other'],
  )
  for (const length of [0, 226])
    await assert.rejects(devices.rename(primary, 1, Buffer.alloc(length)), refusedAs('invalid'))
  assert.equal(await devices.rename(primary, 1, Buffer.alloc(225)), 'renamed')
})

test('a device has one push token, and with it no longer fetches by itself', async (t) => {
  const { devices, tablet, device } = await open(t)
  const state = async () => {
    const { apnToken, fcmToken, fetchesMessages } = await device(2)
    return [apnToken, fcmToken, fetchesMessages]
  }
  assert.deepEqual(await state(), [undefined, undefined, true])
  await devices.setToken(tablet, 'fcm', 'one')
  assert.deepEqual(await state(), [undefined, 'one', false])
  await devices.setToken(tablet, 'apn', 'two')
  assert.deepEqual(await state(), ['two', undefined, false])
  for (const token of ['', 'x'.repeat(4_097), 'a\0b'])
    await assert.rejects(devices.setToken(tablet, 'apn', token), refusedAs('invalid'))
  assert.deepEqual(await state(), ['two', undefined, false])
})

test('the same FCM token again changes nothing', async (t) => {
  const { devices, tablet, accounts, aci } = await open(t)
  await devices.setToken(tablet, 'fcm', 'one')
  const { version } = (await accounts.find(aci))!
  await devices.setToken(tablet, 'fcm', 'one')
  assert.equal((await accounts.find(aci))!.version, version)
})

test('what becomes of a device without its token', async (t) => {
  const { devices, primary, tablet, device } = await open(t)
  const state = async (id: number) => {
    const { apnToken, fcmToken, fetchesMessages, userAgent } = await device(id)
    return [apnToken ?? fcmToken, fetchesMessages, userAgent]
  }
  await devices.setToken(tablet, 'fcm', 'one')
  await devices.clearToken(tablet, 'fcm')
  assert.deepEqual(await state(2), [undefined, false, 'OWA'])
  await devices.setToken(tablet, 'apn', 'one')
  await devices.clearToken(tablet, 'apn')
  assert.deepEqual(await state(2), [undefined, false, 'OWP'])
  await devices.clearToken(primary, 'apn')
  assert.deepEqual(await state(1), [undefined, false, 'OWI'])
  // The one call of gRPC says that the device fetches by itself.
  await devices.clearTokens(tablet)
  assert.deepEqual(await state(2), [undefined, true, 'OWP'])
  await devices.setToken(tablet, 'fcm', 'one')
  await devices.clearTokens(tablet)
  assert.deepEqual(await state(2), [undefined, true, 'OWA'])
  await devices.setToken(primary, 'apn', 'one')
  await devices.clearTokens(primary)
  assert.deepEqual(await state(1), [undefined, true, 'OWI'])
})

test('messages go on to the devices that are left', async (t) => {
  const { rules, accounts, aci, devices, primary, device } = await open(t)
  await devices.remove(primary, 2)
  const account = (await accounts.find(aci))!
  const laptop = connect(rules, account, { device: await device(3) })
  await rules.sql.idle()
  assert.equal(laptop.emptySaid, 1)
  await send(rules, { to: account, timestampMs: 1 })
  assert.equal((await rules.queues.page(deviceQueue(account), 0, 10)).length, 1)
})
