import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type RulesOptions, serverSecretParams } from '../../../test/chat-rules.ts'
import { addPerson, connect, stored } from '../../../test/conversants.ts'
import { groupSendToken } from '../../../test/group-send-token.ts'
import { newAci } from '../../../test/sample-account.ts'
import { Envelope } from '../../../wire/gen/envelope.js'
import { MAX_CONTENT_BYTES } from '../../../wire/limits.ts'
import type { Access } from '../../../wire/route.ts'
import type { DeviceId, ServiceId } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Account } from '../accounts/account.ts'
import type { Copy, Sending } from './messages.ts'
import { queueOf } from './store.ts'

const asDevice = ({ aci }: Account, deviceId: DeviceId = 1): Access => ({
  kind: 'device',
  device: { aci, deviceId },
})
const accessKey = (account: Account): Access => ({ kind: 'access-key', key: account.unidentifiedAccessKey! })

async function open(t: TestContext, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const [alice, bob] = [await addPerson(rules), await addPerson(rules, 3)]
  return { ...rules, rules, alice, bob }
}

const copyFor = (deviceId: DeviceId, fields: Partial<Copy> = {}): Copy => ({
  type: 1,
  deviceId,
  registrationId: 1001,
  content: Buffer.of(1, 2, 3),
  ...fields,
})

const sendingTo = (
  destination: ServiceId,
  copies: readonly Copy[],
  fields: Partial<Sending> = {},
): Sending => ({
  ...{ destination, copies, ephemeral: false, urgent: true, timestampMs: 77 },
  ...fields,
})
const toAll = (account: Account, fields: Partial<Sending> = {}) =>
  sendingTo(
    account.aci,
    account.devices.map(({ id }) => copyFor(id)),
    fields,
  )

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

test('a message is stored for every device before its sender is told', async (t) => {
  const { rules, messages, sql, alice, bob } = await open(t)
  const writes = sql.written.length
  const sent = await messages.send(asDevice(alice), toAll(bob))
  assert.deepEqual(sent, { kind: 'sent', needsSync: false })
  assert.equal(sql.written.length, writes + 1)
  for (const device of bob.devices) assert.deepEqual(await stored(rules, bob, device), [77])
})

test('devices that are missing, too many or changed are named, each in its list', async (t) => {
  const { rules, messages, alice, bob } = await open(t)
  const send = (...copies: Copy[]) => messages.send(asDevice(alice), sendingTo(bob.aci, copies))
  const cases: [readonly Copy[], readonly DeviceId[], readonly DeviceId[], readonly DeviceId[]][] = [
    [[copyFor(1), copyFor(2)], [3], [], []],
    [[copyFor(1), copyFor(2), copyFor(3), copyFor(9)], [], [9], []],
    [[copyFor(1), copyFor(2), copyFor(9)], [3], [9], []],
    [[copyFor(1), copyFor(2), copyFor(3, { registrationId: 2001 })], [], [], [3]],
    [[copyFor(8), copyFor(1, { registrationId: 5 }), copyFor(2)], [3], [8], [1]],
    [[], [1, 2, 3], [], []],
  ]
  for (const [copies, missing, extra, stale] of cases)
    assert.deepEqual(await send(...copies), { kind: 'mismatched', missing, extra, stale })
  for (const device of bob.devices) assert.deepEqual(await stored(rules, bob, device), [])
})

test("to a phone number's identity its own registration ids count", async (t) => {
  const { messages, alice, bob } = await open(t)
  const copies = bob.devices.map(({ id }) => copyFor(id, { registrationId: 2001 }))
  assert.equal((await messages.send(asDevice(alice), sendingTo(bob.pni, copies))).kind, 'sent')
  const aciCopies = bob.devices.map(({ id }) => copyFor(id))
  const stale = await messages.send(asDevice(alice), sendingTo(bob.pni, aciCopies))
  assert.deepEqual(stale, { kind: 'mismatched', missing: [], extra: [], stale: [1, 2, 3] })
})

test('a sync message goes to every device but the one that sends it', async (t) => {
  const { rules, messages, bob } = await open(t)
  const toOthers = sendingTo(bob.aci, [copyFor(1), copyFor(3)])
  assert.deepEqual(await messages.send(asDevice(bob, 2), toOthers), { kind: 'sent', needsSync: true })
  const counts = await Promise.all(bob.devices.map((device) => stored(rules, bob, device)))
  assert.deepEqual(counts, [[77], [], [77]])
  const toItself = await messages.send(asDevice(bob, 2), toAll(bob))
  assert.deepEqual(toItself, { kind: 'mismatched', missing: [], extra: [2], stale: [] })
  const own = sendingTo(bob.pni, [copyFor(1)])
  await assert.rejects(messages.send(asDevice(bob, 2), own), refusedAs('forbidden'))
})

test('who has several devices is told to sync, if it says who it is', async (t) => {
  const { messages, alice, bob } = await open(t)
  assert.deepEqual(await messages.send(asDevice(bob), toAll(alice)), { kind: 'sent', needsSync: true })
  assert.deepEqual(await messages.send(accessKey(alice), toAll(alice)), { kind: 'sent', needsSync: false })
})

test('a stranger reaches who let it in, and leaves no trace of itself', async (t) => {
  const { messages, store, clock, alice, bob } = await open(t)
  const token = (id: ServiceId): Access => ({
    kind: 'group-send-token',
    token: groupSendToken({
      params: serverSecretParams(),
      recipients: [id],
      expiresAtMs: clock.nowMs() + 86_400_000,
    }),
  })
  const kindOf = async (access: Access, sending: Sending) => (await messages.send(access, sending)).kind
  assert.equal(await kindOf(accessKey(bob), toAll(alice)), 'refused')
  assert.equal(await kindOf({ kind: 'none' }, toAll(alice)), 'refused')
  assert.equal(await kindOf(accessKey(alice), sendingTo(newAci(), [copyFor(1)])), 'refused')
  const nobody = newAci()
  assert.equal(await kindOf(token(nobody), sendingTo(nobody, [copyFor(1)])), 'not-found')
  assert.equal(await kindOf(token(bob.aci), toAll(alice)), 'refused')
  assert.equal(await kindOf(token(alice.aci), toAll(alice)), 'sent')
  assert.equal(await kindOf(accessKey(alice), toAll(alice)), 'sent')
  for (const { envelope } of await store.page(queueOf(alice, alice.devices[0]!), 0, 10)) {
    const { sourceServiceId, sourceServiceIdText, sourceDevice } = Envelope.decode(envelope)
    assert.deepEqual([sourceServiceId.length, sourceServiceIdText, sourceDevice], [0, '', 0])
  }
})

test('messages from one to another are counted, and so are the bytes to an identity', async (t) => {
  const { messages, limited, alice, bob } = await open(t)
  limited.length = 0
  await messages.send(asDevice(alice), toAll(bob))
  const pniCopies = bob.devices.map(({ id }) => copyFor(id, { registrationId: 2001 }))
  await messages.send(asDevice(alice), sendingTo(bob.pni, pniCopies))
  await messages.send(accessKey(bob), toAll(bob))
  const pair = `messages: ${alice.aci}__${bob.aci}`
  const bytes = (uuid: string) => `inboundMessageBytes: ${uuid}`
  const pniUuid = bob.pni.slice('PNI:'.length)
  assert.deepEqual(limited, [pair, bytes(bob.aci), pair, bytes(pniUuid), bytes(bob.aci)])
})

test('a message that is too large is refused after its devices were compared, whole', async (t) => {
  const { rules, messages, alice, bob } = await open(t)
  const large = Buffer.alloc(MAX_CONTENT_BYTES + 1)
  const copies = [copyFor(1), copyFor(2), copyFor(3, { content: large })]
  await assert.rejects(messages.send(asDevice(alice), sendingTo(bob.aci, copies)), refusedAs('too-large'))
  const some = await messages.send(asDevice(alice), sendingTo(bob.aci, copies.slice(1)))
  assert.equal(some.kind, 'mismatched')
  for (const device of bob.devices) assert.deepEqual(await stored(rules, bob, device), [])
  const largest = copyFor(3, { content: large.subarray(1) })
  const fits = sendingTo(bob.aci, [copyFor(1), copyFor(2), largest])
  assert.equal((await messages.send(asDevice(alice), fits)).kind, 'sent')
})

test('an ephemeral message is written nowhere, and reaches the devices that are there', async (t) => {
  const { rules, messages, sql, alice, bob } = await open(t)
  const socket = connect(rules, bob, { device: bob.devices[1]! })
  await sql.idle()
  const writes = sql.written.length
  assert.equal((await messages.send(asDevice(alice), toAll(bob, { ephemeral: true }))).kind, 'sent')
  assert.deepEqual(socket.timestamps, [77])
  assert.equal(sql.written.length, writes)
})

test('a story tells nobody who exists, and needs no proof', async (t) => {
  const { messages, limited, alice } = await open(t)
  const unknown = sendingTo(newAci(), [copyFor(1)])
  assert.deepEqual(await messages.sendStory({ kind: 'none' }, unknown), { kind: 'sent', needsSync: false })
  assert.equal((await messages.sendStory({ kind: 'none' }, toAll(alice))).kind, 'sent')
  assert.deepEqual(limited.slice(-2), [`stories: ${alice.aci}`, `inboundMessageBytes: ${alice.aci}`])
  const token: Access = { kind: 'group-send-token', token: Buffer.alloc(1) }
  await assert.rejects(messages.sendStory(token, toAll(alice)), refusedAs('bad-request'))
})

test('a message without a time has that of the server, and none that is stored is doubted', async (t) => {
  const { rules, messages, clock, alice } = await open(t)
  await messages.send(accessKey(alice), toAll(alice, { timestampMs: 0 }))
  assert.deepEqual(await stored(rules, alice), [clock.nowMs()])
})

test('a sender that was removed meanwhile sends nothing', async (t) => {
  const { rules, messages, accounts, alice, bob } = await open(t)
  assert.ok(await accounts.put({ ...bob, version: 2, devices: bob.devices.slice(0, 1) }, []))
  await assert.rejects(messages.send(asDevice(bob, 2), toAll(alice)), refusedAs('invalid-credentials'))
  assert.deepEqual(await stored(rules, alice), [])
})
