import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { addPerson, connect, copyOf, send, stored } from '../../../test/conversants.ts'
import type { FakeConnection } from '../../../test/fake-connection.ts'
import { until } from '../../../test/until.ts'
import { MAX_IN_FLIGHT } from './delivery.ts'

const numbers = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

async function open(t: TestContext) {
  const rules = await openRules(t)
  const alice = await addPerson(rules)
  const sendAll = (timestamps: readonly number[]) =>
    Promise.all(timestamps.map((timestampMs) => send(rules, { to: alice, timestampMs })))
  const offer = (timestampMs: number) => rules.queues.offer(copyOf(rules, { to: alice, timestampMs }))
  const connected = async () => {
    const socket = connect(rules, alice)
    await rules.sql.idle()
    return socket
  }
  const settled = () => rules.sql.idle()
  return { rules, alice, sendAll, offer, connected, settled, left: () => stored(rules, alice) }
}

/** Answers everything that was asked from the `from`th request on, and whatever comes because of that. */
async function answerAll(socket: FakeConnection, settled: () => Promise<void>, from = 0): Promise<void> {
  for (let next = from; next < socket.asked.length; next++) {
    socket.answer(socket.asked[next]!)
    if (next === socket.asked.length - 1) await settled()
  }
}

test('of a backlog no more than 256 messages are in flight, and the others follow in their order', async (t) => {
  const { sendAll, connected, settled } = await open(t)
  await sendAll(numbers(1, 600))
  const socket = await connected()
  assert.deepEqual(socket.timestamps, numbers(1, MAX_IN_FLIGHT))
  socket.answer(socket.asked[0]!)
  await settled()
  assert.deepEqual(socket.timestamps, numbers(1, MAX_IN_FLIGHT + 1))
  await answerAll(socket, settled, 1)
  assert.deepEqual(socket.timestamps, numbers(1, 600))
  assert.equal(socket.emptySaid, 1)
})

test('of what comes in no more than 256 messages are in flight, and the others follow in their order', async (t) => {
  const { sendAll, connected, settled } = await open(t)
  const socket = await connected()
  await sendAll(numbers(1, 300))
  await settled()
  assert.deepEqual(socket.timestamps, numbers(1, MAX_IN_FLIGHT))
  await answerAll(socket, settled)
  assert.deepEqual(socket.timestamps, numbers(1, 300))
})

test('an acknowledged message is gone within a second, and no other', async (t) => {
  const { rules, sendAll, connected, settled, left } = await open(t)
  await sendAll(numbers(1, 6))
  const socket = await connected()
  for (const timestampMs of [5, 1, 2]) socket.answer(socket.messages[timestampMs - 1]!)
  rules.clock.advance(999)
  await settled()
  assert.deepEqual(await left(), [3, 4, 6])
})

test('after a refused message nothing more comes on this connection, and all of it on the next', async (t) => {
  const { rules, sendAll, offer, connected, settled, left } = await open(t)
  await sendAll(numbers(1, 300))
  const socket = await connected()
  socket.answer(socket.messages[0]!)
  socket.answer(socket.messages[1]!, 500)
  socket.answer(socket.messages[2]!, 299)
  socket.answer(socket.messages[3]!, 300)
  await sendAll([301])
  offer(302)
  rules.clock.advance(999)
  await settled()
  assert.equal(socket.messages.length, MAX_IN_FLIGHT)
  assert.equal(socket.emptySaid, 0)
  const rest = [2, ...numbers(4, 301)]
  assert.deepEqual(await left(), rest)
  const next = await connected()
  await answerAll(next, settled)
  assert.deepEqual(next.timestamps, rest)
  assert.equal(next.emptySaid, 1)
})

test('the end of the queue is said once, when the backlog was answered', async (t) => {
  const { sendAll, connected, settled } = await open(t)
  await sendAll([1, 2])
  const socket = await connected()
  await sendAll([3])
  await settled()
  assert.deepEqual(socket.timestamps, [1, 2, 3])
  socket.answer(socket.messages[0]!)
  socket.answer(socket.messages[2]!)
  await settled()
  assert.equal(socket.emptySaid, 0)
  socket.answer(socket.messages[1]!)
  await settled()
  assert.equal(socket.emptySaid, 1)
  await sendAll([4, 5])
  await answerAll(socket, settled, 3)
  assert.equal(socket.emptySaid, 1)
})

test('the end of an empty queue is said at once, and what comes then is handed over', async (t) => {
  const { rules, sendAll, connected, settled } = await open(t)
  const socket = await connected()
  assert.deepEqual(
    socket.asked.map(({ path }) => path),
    ['/api/v1/queue/empty'],
  )
  await sendAll([1])
  await settled()
  assert.deepEqual(socket.timestamps, [1])
  for (const { headers } of socket.asked)
    assert.deepEqual(headers, [`X-Signal-Timestamp:${rules.clock.nowMs()}`])
  assert.equal(socket.emptySaid, 1)
})

test('what comes in while the backlog is read is neither lost nor doubled', async (t) => {
  const { rules, alice, sendAll, settled } = await open(t)
  await sendAll([1, 2])
  const hold = rules.sql.hold(/ORDER BY seq LIMIT/)
  const socket = connect(rules, alice)
  await hold.reached
  await sendAll([3, 4])
  assert.deepEqual(socket.timestamps, [])
  hold.release()
  await settled()
  await sendAll([5])
  await settled()
  assert.deepEqual(socket.timestamps, [1, 2, 3, 4, 5])
})

test('a message that is read before its arrival is told is not doubled', async (t) => {
  const { rules, alice, sendAll, settled } = await open(t)
  const hold = rules.sql.hold(/INSERT INTO messages/)
  const sending = sendAll([1])
  await hold.reached
  const socket = connect(rules, alice)
  await until(() => socket.timestamps.length === 1, 'the message')
  hold.release()
  await sending
  await sendAll([2])
  await settled()
  assert.deepEqual(socket.timestamps, [1, 2])
})

test('a client that became slow while its backlog was read gets it when it took the rest', async (t) => {
  const { rules, alice, sendAll, settled } = await open(t)
  await sendAll([1, 2])
  const hold = rules.sql.hold(/ORDER BY seq LIMIT/)
  const socket = connect(rules, alice)
  await hold.reached
  socket.congested = true
  hold.release()
  await settled()
  assert.deepEqual([socket.timestamps, socket.emptySaid], [[], 0])
  socket.drain()
  await settled()
  assert.deepEqual([socket.timestamps, socket.emptySaid], [[1, 2], 0])
})

test('a client that takes bytes slowly is sent more when it took them', async (t) => {
  const { sendAll, connected, settled } = await open(t)
  const socket = await connected()
  socket.congested = true
  await sendAll([1, 2])
  await settled()
  assert.deepEqual(socket.timestamps, [])
  socket.drain()
  await settled()
  await sendAll([3])
  await settled()
  assert.deepEqual(socket.timestamps, [1, 2, 3])
})

test('what was handed over and not answered comes again on the next connection, the rest does not', async (t) => {
  const { rules, sendAll, connected, settled } = await open(t)
  await sendAll([1, 2, 3])
  const first = await connected()
  first.answer(first.messages[1]!)
  rules.clock.advance(999)
  await settled()
  first.end()
  first.answer(first.messages[0]!)
  const second = await connected()
  assert.deepEqual(second.timestamps, [1, 3])
})

test('an answer that was given, or to nothing, is passed over', async (t) => {
  const { rules, sendAll, connected, settled, left } = await open(t)
  await sendAll([1, 2])
  const socket = await connected()
  socket.answer({ id: 99 }, 500)
  socket.answer(socket.messages[0]!)
  socket.answer(socket.messages[0]!, 500)
  socket.answer(socket.messages[1]!)
  rules.clock.advance(999)
  await settled()
  assert.deepEqual(await left(), [])
  assert.equal(socket.emptySaid, 1)
})

test('the newest reader displaces the one before it, and a lost account all of them', async (t) => {
  const { rules, alice, sendAll, connected, settled } = await open(t)
  await sendAll([1])
  const first = await connected()
  const second = await connected()
  assert.deepEqual([first.closeCode, second.closeCode], [4409, undefined])
  assert.deepEqual([first.timestamps, second.timestamps], [[1], [1]])
  await sendAll([2])
  await settled()
  assert.deepEqual([first.timestamps, second.timestamps], [[1], [1, 2]])
  rules.queues.disconnect(alice.aci, [1])
  assert.equal(second.closeCode, 4401)
})

test('another device of the account displaces nobody', async (t) => {
  const { rules } = await open(t)
  const bob = await addPerson(rules, 2)
  const [first, second] = bob.devices.map((device) => connect(rules, bob, { device }))
  await rules.sql.idle()
  assert.deepEqual([first!.closeCode, second!.closeCode], [undefined, undefined])
})

test('a story goes to who asked for stories, and is gone for anybody else', async (t) => {
  const { rules, alice, settled, left } = await open(t)
  const story = { to: alice, timestampMs: 1, story: true }
  await send(rules, story)
  const without = connect(rules, alice, { receivesStories: false })
  await settled()
  assert.deepEqual([without.timestamps, without.emptySaid], [[], 1])
  await send(rules, { ...story, timestampMs: 2 })
  rules.clock.advance(999)
  await settled()
  assert.deepEqual(await left(), [])
  without.end()
  const curious = connect(rules, alice)
  await send(rules, { ...story, timestampMs: 3 })
  await settled()
  assert.deepEqual(curious.timestamps, [3])
})

test('an ephemeral message is handed to who is there, and kept for nobody', async (t) => {
  const { rules, offer, connected, left } = await open(t)
  const writes = rules.sql.written.length
  assert.equal(offer(1), false)
  const socket = await connected()
  assert.equal(offer(2), true)
  assert.deepEqual(socket.timestamps, [2])
  socket.answer(socket.messages[0]!)
  assert.deepEqual([await left(), rules.sql.written.length], [[], writes])
})

for (const { ms, expected } of [
  { ms: 9_999, expected: [1, 8, 9] },
  { ms: 10_000, expected: [1] },
])
  test(`an ephemeral message waits behind the backlog, but after ${ms} ms there are ${expected.length - 1}`, async (t) => {
    const { rules, alice, sendAll, offer, settled, left } = await open(t)
    await sendAll([1])
    const hold = rules.sql.hold(/ORDER BY seq LIMIT/)
    const socket = connect(rules, alice)
    await hold.reached
    for (const timestampMs of [8, 9]) offer(timestampMs)
    rules.clock.advance(ms)
    hold.release()
    await settled()
    assert.deepEqual(socket.timestamps, expected)
    assert.deepEqual(await left(), [1])
  })

test('a hundred ephemeral messages wait, and no more', async (t) => {
  const { rules, alice, offer, settled } = await open(t)
  const hold = rules.sql.hold(/ORDER BY seq LIMIT/)
  const socket = connect(rules, alice)
  await hold.reached
  for (const timestampMs of numbers(1, 150)) offer(timestampMs)
  hold.release()
  await settled()
  assert.deepEqual(socket.timestamps, numbers(1, 100))
})

test('a queue that cannot be read closes the socket as an error of the server', async (t) => {
  const { rules, alice, settled } = await open(t)
  rules.sql.read = async () => {
    throw new Error('no disk')
  }
  const socket = connect(rules, alice)
  await settled()
  assert.deepEqual([socket.closeCode, socket.asked.length, socket.saidToNobody], [1011, 0, 0])
  assert.equal(rules.bugs.splice(0).length, 1)
})
