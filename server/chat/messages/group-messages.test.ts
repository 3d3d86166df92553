import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules, type RulesOptions, serverSecretParams } from '../../../test/chat-rules.ts'
import { addPerson, connect, deviceQueue, stored } from '../../../test/conversants.ts'
import { groupSendToken } from '../../../test/group-send-token.ts'
import { type MessageRecipient, multiRecipientMessage } from '../../../test/multi-recipient-message.ts'
import { newAci } from '../../../test/sample-account.ts'
import { Envelope } from '../../../wire/gen/envelope.js'
import { MAX_CONTENT_BYTES } from '../../../wire/limits.ts'
import type { Unidentified } from '../../../wire/route.ts'
import type { ServiceId } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Account } from '../accounts/account.ts'
import type { GroupSending } from './group-messages.ts'
import { EXPIRE_AFTER_MS } from './queues.ts'

const DAY_MS = 86_400_000
const ADDRESS = '192.0.2.1'

async function open(t: TestContext, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const [alice, bob] = [await addPerson(rules), await addPerson(rules, 2)]
  const token = (ids: readonly ServiceId[], expiresAtMs = rules.clock.nowMs() + DAY_MS): Unidentified => ({
    kind: 'group-send-token',
    token: groupSendToken({ params: serverSecretParams(), recipients: ids, expiresAtMs }),
  })
  const send = (access: Unidentified, sending: GroupSending) => rules.groups.send(access, sending, ADDRESS)
  const contents = async () => {
    const [row] = await rules.sql.read('SELECT COUNT(*) AS n FROM shared_contents')
    return row!['n']
  }
  return { ...rules, rules, alice, bob, token, send, contents }
}

const recipient = (account: Account, devices = account.devices.map(({ id }) => id)): MessageRecipient => ({
  id: account.aci,
  devices: devices.map((id) => [id, 1001]),
})
const sendingTo = (
  recipients: readonly MessageRecipient[],
  fields: Partial<GroupSending> = {},
  contentBytes?: number,
): GroupSending => ({
  ...{
    payload: multiRecipientMessage(recipients, contentBytes),
    ephemeral: false,
    urgent: true,
    timestampMs: 77,
  },
  ...fields,
})
const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind
const combined = (...accounts: readonly Account[]): Unidentified => ({
  kind: 'access-key',
  key: accounts.reduce<Uint8Array>(
    (key, one) => key.map((byte, at) => byte ^ one.unidentifiedAccessKey![at]!),
    Buffer.alloc(16),
  ),
})

test('a message to many is one write, whose copies are whole', async (t) => {
  const { rules, token, send, alice, bob, sql, store } = await open(t)
  const writes = sql.written.length
  const sent = await send(
    token([alice.aci, bob.aci]),
    sendingTo([recipient(alice), recipient(bob)], {}, 5000),
  )
  assert.deepEqual(sent, { kind: 'sent', unresolved: [] })
  assert.equal(sql.written.length, writes + 1)
  const guids = new Set<string>()
  for (const [account, index] of [
    [alice, 0],
    [bob, 0],
    [bob, 1],
  ] as const) {
    const [message] = await store.page(deviceQueue(account, account.devices[index]), 0, 10)
    const envelope = Envelope.decode(message!.envelope)
    assert.deepEqual([envelope.type, envelope.clientTimestamp, envelope.content.length], [6, 77, 5000])
    assert.deepEqual([envelope.urgent, envelope.story, envelope.sourceServiceId.length], [true, false, 0])
    assert.equal(envelope.destinationServiceIdText, account.aci)
    guids.add(envelope.serverGuidText)
  }
  assert.equal(guids.size, 3)
  assert.deepEqual(await stored(rules, alice), [77])
})

test('what copies share stays until the last of them is acknowledged, and goes with it within a second', async (t) => {
  const { rules, token, send, alice, bob, clock, sql, contents } = await open(t)
  const [phone, laptop] = [connect(rules, bob), connect(rules, bob, { device: bob.devices[1]! })]
  await sql.idle()
  await send(token([alice.aci, bob.aci]), sendingTo([recipient(alice), recipient(bob)]))
  assert.deepEqual([phone.timestamps, laptop.timestamps, await contents()], [[77], [77], 1])
  phone.answer(phone.messages[0]!)
  laptop.answer(laptop.messages[0]!)
  clock.advance(999)
  await sql.idle()
  assert.deepEqual([await contents(), await stored(rules, bob)], [1, []])
  const late = connect(rules, alice)
  await sql.idle()
  assert.equal(late.messages[0]?.envelope.content.length, 200)
  late.answer(late.messages[0]!)
  clock.advance(999)
  await sql.idle()
  assert.deepEqual([await contents(), await stored(rules, alice)], [0, []])
})

test('messages of both sorts in one queue keep their order, and go together', async (t) => {
  const { rules, messages, token, send, alice, bob, clock, sql, contents } = await open(t)
  const single = (timestampMs: number) =>
    messages.send(
      { kind: 'access-key', key: alice.unidentifiedAccessKey! },
      {
        destination: alice.aci,
        copies: [{ type: 6, deviceId: 1, registrationId: 1001, content: Buffer.of(1) }],
        ...{ ephemeral: false, urgent: true, timestampMs },
      },
    )
  await single(1)
  await send(token([alice.aci, bob.aci]), sendingTo([recipient(alice), recipient(bob)], { timestampMs: 2 }))
  await single(3)
  await send(token([alice.aci]), sendingTo([recipient(alice)], { timestampMs: 4 }))
  const socket = connect(rules, alice)
  await sql.idle()
  assert.deepEqual(socket.timestamps, [1, 2, 3, 4])
  for (const message of socket.messages) socket.answer(message)
  clock.advance(999)
  await sql.idle()
  assert.deepEqual([await stored(rules, alice), await contents()], [[], 1])
})

test('what copies share goes with the devices and accounts that it was for, and when it is too old', async (t) => {
  const { token, send, accounts, queues, alice, bob, clock, contents } = await open(t)
  const toAll = () => send(token([alice.aci, bob.aci]), sendingTo([recipient(alice), recipient(bob)]))
  await toAll()
  await accounts.delete(alice.aci)
  assert.equal(await contents(), 1)
  await accounts.unlink(bob.aci, 2)
  assert.equal(await contents(), 1)
  await accounts.delete(bob.aci)
  assert.equal(await contents(), 0)
  const carol = await addPerson({ accounts } as never)
  await send(token([carol.aci]), sendingTo([recipient(carol)]))
  clock.advance(EXPIRE_AFTER_MS - 1000)
  await queues.expire()
  assert.equal(await contents(), 1)
  clock.advance(2000)
  await queues.expire()
  assert.equal(await contents(), 0)
})

test('A5: only a token for exactly the recipients, or for them and the excluded, and not expired, opens', async (t) => {
  const { token, send, alice, bob, clock } = await open(t)
  const carol = newAci()
  const both = [recipient(alice), recipient(bob)]
  const kind = async (access: Unidentified, recipients = both) =>
    (await send(access, sendingTo(recipients))).kind
  assert.equal(await kind(token([alice.aci, bob.aci])), 'sent')
  assert.equal(await kind(token([bob.aci, alice.aci])), 'sent')
  assert.equal(await kind(token([alice.aci])), 'refused')
  assert.equal(await kind(token([alice.aci, bob.aci, carol])), 'refused')
  assert.equal(await kind(token([alice.aci, bob.pni])), 'refused')
  const excluding = [...both, { id: carol, devices: [] }]
  assert.equal(await kind(token([alice.aci, bob.aci, carol]), excluding), 'sent')
  assert.equal(await kind(token([alice.aci, bob.aci]), excluding), 'sent')
  assert.equal(await kind(token([alice.aci, carol]), excluding), 'refused')
  assert.equal(await kind({ kind: 'none' }), 'refused')
  const expiring = token([alice.aci, bob.aci], Math.floor(clock.nowMs() / DAY_MS) * DAY_MS + 2 * DAY_MS)
  clock.set(Math.floor(clock.nowMs() / DAY_MS) * DAY_MS + 2 * DAY_MS - 1000)
  assert.equal(await kind(expiring), 'sent')
  clock.advance(2000)
  assert.equal(await kind(expiring), 'refused')
})

test('A5: the recipients’ access keys in one open, and nothing else of that sort', async (t) => {
  const { send, accounts, limited, alice, bob } = await open(t)
  const both = sendingTo([recipient(alice), recipient(bob)])
  const kind = async (access: Unidentified, sending = both) => (await send(access, sending)).kind
  const zero: Unidentified = { kind: 'access-key', key: Buffer.alloc(16) }
  assert.equal(await kind(combined(alice, bob)), 'sent')
  assert.equal(await kind(combined(alice)), 'refused')
  assert.equal(await kind(zero), 'refused')
  assert.equal(await kind({ kind: 'access-key', key: Buffer.alloc(0) }), 'refused')
  const nobody = sendingTo([recipient(alice), { id: newAci(), devices: [[1, 1]] }])
  limited.length = 0
  assert.equal(await kind(combined(alice), nobody), 'not-found')
  assert.deepEqual(limited, [`checkAccountExistence: ${ADDRESS}`])
  const toPni = sendingTo([{ id: alice.pni, devices: [[1, 2001]] }])
  assert.equal(await kind(combined(alice), toPni), 'refused')
  await accounts.update(bob.aci, (account) => ({ ...account, unrestrictedUnidentifiedAccess: true }))
  assert.equal(await kind(combined(alice)), 'sent')
  assert.equal(await kind(combined(alice, bob)), 'refused')
  assert.equal(await kind(zero, sendingTo([recipient(bob)])), 'sent')
})

test('who has no account is told of, and the others get their message', async (t) => {
  const { rules, token, send, alice } = await open(t)
  const gone = newAci()
  const sending = sendingTo([{ id: gone, devices: [[1, 9]] }, recipient(alice)])
  assert.deepEqual(await send(token([gone, alice.aci]), sending), { kind: 'sent', unresolved: [gone] })
  assert.deepEqual(await stored(rules, alice), [77])
  const toNobody = sendingTo([{ id: gone, devices: [[1, 9]] }])
  assert.deepEqual(await send(token([gone]), toNobody), { kind: 'sent', unresolved: [gone] })
})

test('M5: devices that are wrong are told of for each recipient, and nobody gets anything', async (t) => {
  const { rules, token, send, alice, bob, contents } = await open(t)
  const access = token([alice.aci, bob.aci])
  const wrong = sendingTo([
    { id: alice.aci, devices: [[1, 5]] },
    {
      id: bob.aci,
      devices: [
        [1, 5],
        [3, 1001],
      ],
    },
  ])
  const sent = await send(access, wrong)
  assert.ok(sent.kind === 'mismatched')
  assert.deepEqual(
    sent.recipients.toSorted((a) => (a.id === alice.aci ? -1 : 1)),
    [
      { id: alice.aci, missing: [], extra: [], stale: [1] },
      { id: bob.aci, missing: [2], extra: [3], stale: [1] },
    ],
  )
  assert.deepEqual([await stored(rules, alice), await contents()], [[], 0])
})

test('M6: the content of a copy has a size, and a message has a time', async (t) => {
  const { token, send, alice } = await open(t)
  const access = token([alice.aci])
  const kind = async (bytes: number, fields = {}) =>
    (await send(access, sendingTo([recipient(alice)], fields, bytes))).kind
  assert.equal(await kind(MAX_CONTENT_BYTES), 'sent')
  await assert.rejects(kind(MAX_CONTENT_BYTES + 1), refusedAs('too-large'))
  assert.equal(await kind(100, { timestampMs: 8_640_000_000_000_000 }), 'sent')
  for (const timestampMs of [-1, 8_640_000_000_000_001, Number.NaN])
    await assert.rejects(kind(100, { timestampMs }), refusedAs('bad-request'))
})

test('a story to many needs no proof, tells nobody who exists, and is counted for each recipient', async (t) => {
  const { rules, groups, limited, alice, bob, store } = await open(t)
  const sending = sendingTo([recipient(alice), { id: newAci(), devices: [[1, 1]] }, recipient(bob)])
  limited.length = 0
  assert.deepEqual(await groups.sendStory({ kind: 'none' }, sending), { kind: 'sent', unresolved: [] })
  assert.deepEqual(limited.toSorted(), [`stories: ${alice.aci}`, `stories: ${bob.aci}`].toSorted())
  const [message] = await store.page(deviceQueue(alice), 0, 1)
  assert.equal(Envelope.decode(message!.envelope).story, true)
  const token: Unidentified = { kind: 'group-send-token', token: Buffer.alloc(1) }
  await assert.rejects(groups.sendStory(token, sending), refusedAs('bad-request'))
  const unwanting = connect(rules, alice, { receivesStories: false })
  await rules.sql.idle()
  assert.deepEqual(unwanting.timestamps, [])
})

test('an ephemeral message to many is written nowhere, and reaches who is there', async (t) => {
  const { rules, token, send, alice, bob, sql } = await open(t)
  const socket = connect(rules, bob)
  await sql.idle()
  const writes = sql.written.length
  const sending = sendingTo([recipient(alice), recipient(bob)], { ephemeral: true })
  assert.equal((await send(token([alice.aci, bob.aci]), sending)).kind, 'sent')
  assert.deepEqual([socket.timestamps, sql.written.length], [[77], writes])
  assert.equal(socket.messages[0]?.envelope.content.length, 200)
})

test('a message to hundreds is one write, and its token is looked at elsewhere', async (t) => {
  const { rules, token, send, sql, contents, alice } = await open(t)
  const people = await Promise.all(Array.from({ length: 150 }, () => addPerson(rules, 2)))
  const everybody = people.map((one) => recipient(one))
  const ids = people.map(({ aci }) => aci)
  assert.equal((await send(token([...ids, alice.aci]), sendingTo(everybody))).kind, 'refused')
  assert.equal((await send(token(ids.slice(1)), sendingTo(everybody))).kind, 'refused')
  const writes = sql.written.length
  assert.deepEqual(await send(token(ids), sendingTo(everybody)), { kind: 'sent', unresolved: [] })
  assert.deepEqual([sql.written.length - writes, sql.written.at(-1)?.length], [1, 301])
  assert.equal(await contents(), 1)
  for (const one of [people[0]!, people[149]!])
    for (const device of one.devices) assert.deepEqual(await stored(rules, one, device), [77])
})
