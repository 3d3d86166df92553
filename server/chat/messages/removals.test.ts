import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openRules } from '../../../test/chat-rules.ts'
import { newAci } from '../../../test/sample-account.ts'
import { Removals } from './removals.ts'
import { Queue } from './store.ts'

const PROMISE_MS = 1000
const newQueue = () => new Queue(newAci(), 1, 1)

/** A reader goes through a queue that others take from, and hands messages over; some are acknowledged, in any order. */
const reading = fc
  .uniqueArray(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 60 })
  .chain((seqs) => {
    const sorted = seqs.toSorted((a, b) => a - b)
    const some = fc.subarray(sorted)
    const acknowledged = some.chain((part) => fc.shuffledSubarray(part, { minLength: part.length }))
    const pauses = fc.array(fc.boolean(), { maxLength: 60 })
    return fc.tuple(fc.constant(sorted), acknowledged, pauses)
  })

test('a message that was not acknowledged is never removed; one that was is gone within a second', async (t) => {
  const { store, clock, sql, onBug } = await openRules(t)
  await fc.assert(
    fc.asyncProperty(reading, reading, async (...readings) => {
      const removals = new Removals(store, clock, onBug)
      const queues = readings.map(([seqs, acknowledged, pauses]) => ({
        queue: newQueue(),
        ...{ seqs, acknowledged, pauses },
      }))
      for (const { queue, seqs } of queues)
        await store.write(seqs.map((seq) => store.add(queue, { seq, envelope: Buffer.of(1) })))
      for (let turn = 0; turn < 60; turn++)
        for (const { queue, seqs, acknowledged, pauses } of queues) {
          const seq = acknowledged[turn]
          if (seq === undefined) continue
          removals.add(queue, { seq, previous: seqs[seqs.indexOf(seq) - 1] ?? 0 })
          if (pauses[turn]) clock.advance(PROMISE_MS / 10)
        }
      clock.advance(PROMISE_MS - 1)
      await sql.idle()
      for (const { queue, seqs, acknowledged } of queues) {
        const left = (await store.page(queue, 0, 1000)).map(({ seq }) => seq)
        assert.deepEqual(
          left,
          seqs.filter((seq) => !acknowledged.includes(seq)),
        )
      }
    }),
    { numRuns: 40 },
  )
})

test('neighbours that are acknowledged one after the other go in one statement', async (t) => {
  const { store, clock, sql, onBug } = await openRules(t)
  const removals = new Removals(store, clock, onBug)
  const [one, other] = [newQueue(), newQueue()]
  for (let seq = 1; seq <= 50; seq++) {
    removals.add(one, { seq: seq * 10, previous: (seq - 1) * 10 })
    removals.add(other, { seq: seq * 4, previous: (seq - 1) * 4 })
  }
  removals.add(one, { seq: 700, previous: 690 })
  const before = sql.written.length
  await removals.drain()
  assert.equal(sql.written.length, before + 1)
  assert.equal(sql.written.at(-1)?.length, 3)
})

test('messages that pile up do not wait for their moment', async (t) => {
  const { store, clock, sql, onBug } = await openRules(t)
  const removals = new Removals(store, clock, onBug)
  const queue = newQueue()
  const before = sql.written.length
  for (let seq = 1; seq <= 4_095; seq++) removals.add(queue, { seq, previous: seq - 1 })
  assert.equal(sql.written.length, before)
  removals.add(queue, { seq: 4_096, previous: 4_095 })
  assert.equal(sql.written.length, before + 1)
  await removals.drain()
})

test('draining waits until what was added is gone from the disk', async (t) => {
  const { store, clock, sql, onBug } = await openRules(t)
  const removals = new Removals(store, clock, onBug)
  const queue = newQueue()
  const seqs = [1, 2, 3]
  await store.write(seqs.map((seq) => store.add(queue, { seq, envelope: Buffer.of(1) })))
  for (const seq of seqs) removals.add(queue, { seq, previous: seq - 1 })
  const hold = sql.hold(/DELETE FROM messages/)
  let drained = false
  const draining = removals.drain().then(() => {
    drained = true
  })
  await hold.reached
  assert.equal(drained, false)
  hold.release()
  await draining
  assert.equal(await store.isEmpty(queue), true)
})
