import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '../../kit/clock.ts'
import { Sequence, seqAt } from './sequence.ts'

test('numbers rise and never repeat, however the clock steps', () => {
  const steps = fc.array(fc.integer({ min: -100_000, max: 100_000 }), { maxLength: 200 })
  fc.assert(
    fc.property(steps, (stepsMs) => {
      const clock = new ManualClock()
      const sequence = new Sequence(clock, 0)
      let last = 0
      for (const stepMs of stepsMs) {
        clock.set(clock.nowMs() + stepMs)
        const next = sequence.next()
        assert.ok(next > last && Number.isSafeInteger(next))
        last = next
      }
    }),
  )
})

test('a number tells its moment, and goes on from it where the clock stands still', () => {
  const clock = new ManualClock()
  const sequence = new Sequence(clock, 0)
  const first = seqAt(clock.nowMs())
  assert.deepEqual([sequence.next(), sequence.next(), sequence.next()], [first, first + 2, first + 4])
  clock.advance(5)
  assert.equal(sequence.next(), seqAt(clock.nowMs()))
})

test('numbers go on from the highest that was given before, though the clock is behind it', () => {
  const clock = new ManualClock()
  const highest = seqAt(clock.nowMs() + 3_600_000)
  const sequence = new Sequence(clock, highest)
  assert.equal(sequence.next(), highest + 2)
  clock.advance(3_600_001)
  assert.equal(sequence.next(), seqAt(clock.nowMs()))
})

test('more than 512 numbers in a millisecond run ahead of the clock, and it catches up', () => {
  const clock = new ManualClock()
  const sequence = new Sequence(clock, 0)
  let last = 0
  for (let count = 0; count < 5000; count++) last = sequence.next()
  clock.advance(1)
  assert.equal(sequence.next(), last + 2)
  clock.advance(10)
  assert.equal(sequence.next(), seqAt(clock.nowMs()))
})
