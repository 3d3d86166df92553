import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { addPerson, connect, copyOf, type Letter, send, stored } from '../../../test/conversants.ts'
import { serviceIdToBytes } from '../../../wire/types.ts'
import { DELIVERY_RECEIPT } from './envelope.ts'

const HOLD_MS = 250

/** Bob writes to Alice, who reads. */
async function open(t: TestContext, bobsDevices = 1) {
  const rules = await openRules(t)
  const [alice, bob] = [await addPerson(rules), await addPerson(rules, bobsDevices)]
  const reader = connect(rules, alice)
  const settled = () => rules.sql.idle()
  await settled()
  /** Alice gets a message and acknowledges it. */
  const deliver = async (letter: Partial<Letter> = {}) => {
    await send(rules, { to: alice, from: bob, timestampMs: 7, ...letter })
    await settled()
    const writes = rules.sql.written.length
    reader.answer(reader.messages.at(-1)!)
    await settled()
    return { writes: () => rules.sql.written.length - writes }
  }
  const bobConnects = async () => {
    const socket = connect(rules, bob)
    await settled()
    return socket
  }
  const left = () => stored(rules, alice)
  const receipts = () => Promise.all(bob.devices.map((device) => stored(rules, bob, device)))
  return { rules, alice, bob, reader, settled, deliver, bobConnects, left, receipts }
}

test('a sender that is connected gets its receipt without a write', async (t) => {
  const { rules, alice, bob, settled, deliver, bobConnects, left, receipts } = await open(t)
  const socket = await bobConnects()
  const { writes } = await deliver()
  assert.equal(writes(), 0)
  const [receipt] = socket.messages
  assert.equal(receipt?.envelope.type, DELIVERY_RECEIPT)
  assert.equal(receipt?.envelope.clientTimestamp, 7)
  assert.deepEqual(Buffer.from(receipt!.envelope.sourceServiceId), serviceIdToBytes(alice.aci))
  assert.deepEqual(Buffer.from(receipt!.envelope.destinationServiceId), serviceIdToBytes(bob.aci))
  assert.deepEqual([receipt?.envelope.sourceDevice, receipt?.envelope.urgent], [1, false])
  assert.equal(receipt?.envelope.content.length, 0)
  assert.deepEqual(await left(), [7])
  socket.answer(receipt!)
  rules.clock.advance(HOLD_MS)
  await settled()
  assert.deepEqual([await left(), await receipts(), writes()], [[], [[]], 1])
})

test('a receipt is not held longer, or less long, because the wall clock jumps (case X1)', async (t) => {
  const { rules, settled, deliver, bobConnects, left, receipts } = await open(t)
  await bobConnects()
  for (const jumpMs of [-86_400_000, 86_400_000]) {
    const stored = (await receipts())[0]!.length
    await deliver()
    rules.clock.set(rules.clock.nowMs() + jumpMs)
    rules.clock.advance(HOLD_MS - 1)
    await settled()
    assert.deepEqual([(await left()).length, (await receipts())[0]!.length], [1, stored])
    rules.clock.advance(1)
    await settled()
    assert.deepEqual([(await left()).length, (await receipts())[0]!.length], [0, stored + 1])
  }
})

test('a receipt is from the identity that was addressed', async (t) => {
  const { alice, deliver, bobConnects } = await open(t)
  const socket = await bobConnects()
  await deliver({ destination: alice.pni })
  const [receipt] = socket.messages
  assert.deepEqual(Buffer.from(receipt!.envelope.sourceServiceId), serviceIdToBytes(alice.pni))
})

test('a receipt that is not answered in time is stored, and only then the message leaves', async (t) => {
  const { rules, settled, deliver, bobConnects, left, receipts } = await open(t)
  const socket = await bobConnects()
  const { writes } = await deliver()
  rules.clock.advance(HOLD_MS - 1)
  await settled()
  assert.deepEqual([await left(), await receipts(), writes()], [[7], [[]], 0])
  rules.clock.advance(1)
  await settled()
  assert.deepEqual([await left(), await receipts(), writes()], [[], [[7]], 1])
  socket.answer(socket.messages[0]!)
  await settled()
  assert.deepEqual(await receipts(), [[7]])
})

test('receipts that are not answered are each stored at their own time', async (t) => {
  const { rules, settled, deliver, bobConnects, left, receipts } = await open(t)
  await bobConnects()
  for (const timestampMs of [1, 2, 3]) {
    await deliver({ timestampMs })
    rules.clock.advance(100)
  }
  for (const { ms, safe, waiting } of [
    { ms: 0, safe: [1], waiting: [2, 3] },
    { ms: 49, safe: [1], waiting: [2, 3] },
    { ms: 1, safe: [1, 2], waiting: [3] },
    { ms: 99, safe: [1, 2], waiting: [3] },
    { ms: 1, safe: [1, 2, 3], waiting: [] },
  ]) {
    rules.clock.advance(ms)
    await settled()
    assert.deepEqual([await receipts(), await left()], [[safe], waiting])
  }
})

for (const [how, lose] of [
  ['disconnects', (socket: { end(): void }) => socket.end()],
  [
    'refuses it',
    (socket: Awaited<ReturnType<Awaited<ReturnType<typeof open>>['bobConnects']>>) =>
      socket.answer(socket.messages[0]!, 500),
  ],
] as const)
  test(`the receipt of a sender that ${how} is stored at once`, async (t) => {
    const { settled, deliver, bobConnects, left, receipts } = await open(t)
    const socket = await bobConnects()
    const { writes } = await deliver()
    lose(socket as never)
    await settled()
    assert.deepEqual([await left(), await receipts(), writes()], [[], [[7]], 1])
  })

test('the receipt of a sender that is away leaves no moment without message or receipt', async (t) => {
  const { rules, deliver, left, receipts } = await open(t)
  const { writes } = await deliver()
  assert.deepEqual([await left(), await receipts(), writes()], [[], [[7]], 1])
  const kinds = rules.sql.written.at(-1)?.map(({ sql }) => sql.slice(0, 6))
  assert.deepEqual(kinds?.toSorted(), ['DELETE', 'INSERT'])
})

test('every device of the sender gets its receipt, and then it is stored', async (t) => {
  const { bob, deliver, bobConnects, left, receipts, settled } = await open(t, 2)
  const socket = await bobConnects()
  await deliver()
  await settled()
  assert.equal(bob.devices.length, 2)
  assert.deepEqual([await left(), await receipts()], [[], [[7], [7]]])
  assert.deepEqual(socket.timestamps, [7])
})

test('a receipt is not held behind a backlog that its sender has not read', async (t) => {
  const { rules, bob, deliver, left, receipts, settled } = await open(t)
  const hold = rules.sql.hold(/ORDER BY seq LIMIT/)
  const socket = connect(rules, bob)
  await hold.reached
  await send(rules, { to: bob, timestampMs: 1 })
  hold.release()
  socket.congested = true
  await deliver()
  await settled()
  assert.deepEqual(await left(), [])
  assert.deepEqual(await receipts(), [[1, 7]])
})

test('what has no sender, is a receipt, or is to oneself has no receipt', async (t) => {
  const { rules, alice, bob, deliver, left, receipts, settled } = await open(t)
  await deliver({ from: undefined })
  await deliver({ type: DELIVERY_RECEIPT })
  await deliver({ from: alice })
  rules.clock.advance(HOLD_MS)
  await settled()
  assert.deepEqual([await left(), await receipts()], [[], [[]]])
  assert.deepEqual(await stored(rules, bob), [])
})

test('the message of an account that is gone leaves without a receipt', async (t) => {
  const { rules, alice, reader, settled, left } = await open(t)
  const stranger = { ...(await addPerson(rules)), aci: crypto.randomUUID() as typeof alice.aci }
  await send(rules, { to: alice, from: stranger, timestampMs: 9 })
  await settled()
  reader.answer(reader.messages[0]!)
  await settled()
  rules.clock.advance(HOLD_MS)
  await settled()
  assert.deepEqual(await left(), [])
})

test('a sender that is not in memory is looked up, and misses nothing', async (t) => {
  const { rules, bob, deliver, left, receipts } = await open(t)
  rules.bus.publish('accounts', { type: bob.aci })
  assert.equal(rules.accounts.peek(bob.aci), undefined)
  await deliver()
  assert.deepEqual([await left(), await receipts()], [[], [[7]]])
})

test('an ephemeral message has a receipt, and nothing to remove', async (t) => {
  const { rules, alice, bob, reader, settled, receipts } = await open(t)
  assert.ok(rules.queues.offer(copyOf(rules, { to: alice, from: bob, timestampMs: 5 })))
  reader.answer(reader.messages[0]!)
  await settled()
  assert.deepEqual(await receipts(), [[5]])
})

test('draining stores every receipt that is not answered yet, and waits for it', async (t) => {
  const { rules, deliver, bobConnects, left, receipts } = await open(t)
  await bobConnects()
  for (const timestampMs of [1, 2]) await deliver({ timestampMs })
  assert.deepEqual([await left(), await receipts()], [[1, 2], [[]]])
  await rules.receipts.drain()
  assert.deepEqual([await left(), await receipts()], [[], [[1, 2]]])
})

test('a look-up that is on its way is waited for when draining', async (t) => {
  const { rules, bob, alice, reader, settled, left, receipts } = await open(t)
  await send(rules, { to: alice, from: bob, timestampMs: 4 })
  await settled()
  rules.bus.publish('accounts', { type: bob.aci })
  reader.answer(reader.messages[0]!)
  await rules.receipts.drain()
  await rules.queues.drain()
  assert.deepEqual([await left(), await receipts()], [[], [[4]]])
})
