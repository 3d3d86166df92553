import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { addPerson, copyOf, deviceQueue, stored } from '../../../test/conversants.ts'
import { EXPIRE_AFTER_MS, type QueueEvent, Queues } from './queues.ts'

const HOUR_MS = 3_600_000

async function open(t: TestContext) {
  const rules = await openRules(t)
  const alice = await addPerson(rules)
  const queue = deviceQueue(alice)
  const copy = (timestampMs: number) => copyOf(rules, { to: alice, timestampMs })
  return { ...rules, rules, alice, queue, copy }
}

test('a reader hears of a message when it is on the disk, not before', async (t) => {
  const { queues, queue, copy, sql, rules, alice } = await open(t)
  const heard: QueueEvent[] = []
  queues.listen(queue, (event) => heard.push(event))
  const hold = sql.hold(/INSERT INTO messages/)
  const adding = queues.add([copy(1)])
  await hold.reached
  assert.deepEqual([heard.length, await stored(rules, alice)], [0, [1]])
  hold.release()
  await adding
  assert.deepEqual(
    heard.map(({ type }) => type),
    ['message'],
  )
})

test('copies are added all or none, together with what goes along', async (t) => {
  const { queues, queue, copy, sql, store, rules, alice } = await open(t)
  await queues.add([copy(1)])
  const heard: QueueEvent[] = []
  queues.listen(queue, (event) => heard.push(event))
  const impossible = { sql: 'DELETE FROM messages WHERE seq = $1', args: [0], must: 1 }
  await assert.rejects(queues.add([copy(2)], [impossible]))
  assert.deepEqual([heard, await stored(rules, alice)], [[], [1]])
  const [first] = await store.page(queue, 0, 1)
  const writes = sql.written.length
  await queues.add([copy(3), copy(4)], [queues.removal(queue, { seq: first!.seq, previous: 0 })])
  assert.deepEqual([await stored(rules, alice), sql.written.length - writes], [[3, 4], 1])
})

test('messages keep the order in which they were added, though many come at once', async (t) => {
  const { queues, copy, clock, rules, alice } = await open(t)
  const adding = []
  for (let timestampMs = 1; timestampMs <= 200; timestampMs++) {
    adding.push(queues.add([copy(timestampMs)]))
    if (timestampMs % 7 === 0) clock.set(clock.nowMs() - 1)
  }
  await Promise.all(adding)
  const expected = Array.from({ length: 200 }, (_, index) => index + 1)
  assert.deepEqual(await stored(rules, alice), expected)
})

test('after a start with a clock that went back, new messages still come behind the old ones', async (t) => {
  const { queues, copy, clock, store, bus, housekeeping, onBug, rules, alice } = await open(t)
  await queues.add([copy(1)])
  clock.set(clock.nowMs() - 24 * HOUR_MS)
  const restarted = await Queues.open({ store, bus, clock, housekeeping, onBug })
  await restarted.add([copy(2)])
  assert.deepEqual(await stored(rules, alice), [1, 2])
})

test('messages that nobody fetched for 30 days are gone within the hour, and no others', async (t) => {
  const { queues, copy, clock, sql, rules, alice } = await open(t)
  await queues.add(Array.from({ length: 1_500 }, () => copy(1)))
  clock.advance(HOUR_MS)
  await queues.add([copy(2)])
  clock.advance(EXPIRE_AFTER_MS - HOUR_MS)
  await sql.idle()
  assert.equal((await stored(rules, alice)).length, 1_501)
  clock.advance(HOUR_MS - 1)
  await sql.idle()
  assert.equal((await stored(rules, alice)).length, 1_501)
  clock.advance(1)
  await sql.idle()
  assert.deepEqual(await stored(rules, alice), [2])
})

test('draining removes what was acknowledged', async (t) => {
  const { queues, queue, copy, sql, store, rules, alice } = await open(t)
  await queues.add([copy(1), copy(2)])
  const [first] = await store.page(queue, 0, 1)
  queues.remove(queue, { seq: first!.seq, previous: 0 })
  await queues.drain()
  assert.deepEqual(await stored(rules, alice), [2])
  const removals = () => sql.written.flat().filter((one) => one.sql.startsWith('DELETE FROM messages')).length
  const before = removals()
  assert.ok(before > 0)
  await queues.drain()
  assert.equal(removals(), before)
})

test('an offer is taken by who listens and says so, and otherwise by nobody', async (t) => {
  const { queues, queue, copy } = await open(t)
  assert.equal(queues.offer(copy(1)), false)
  const deaf = queues.listen(queue, () => {})
  assert.equal(queues.offer(copy(1)), false)
  deaf.cancel()
  const taker = queues.listen(queue, (event) => {
    if (event.type === 'offer') event.local.taken = true
  })
  assert.equal(queues.offer(copy(1)), true)
  taker.cancel()
  assert.equal(queues.offer(copy(1)), false)
})
