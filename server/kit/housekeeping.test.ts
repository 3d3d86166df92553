import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './clock.ts'
import { Housekeeping } from './housekeeping.ts'

function open() {
  const clock = new ManualClock()
  const bugs: string[] = []
  const housekeeping = new Housekeeping(clock, (_, where) => bugs.push(where))
  return { clock, bugs, housekeeping }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('a round comes at every interval, and one that fails is told and followed by the next', async () => {
  const { clock, bugs, housekeeping } = open()
  let rounds = 0
  housekeeping.every(100, 'work', async () => {
    rounds++
    if (rounds === 2) throw new Error('no')
  })
  for (const expected of [0, 1, 2, 3]) {
    assert.equal(rounds, expected)
    clock.advance(99)
    assert.equal(rounds, expected)
    clock.advance(1)
    await settled()
  }
  assert.deepEqual(bugs, ['work'])
})

test('a round that lasts holds its own next ones up, which become one, and nobody else’s', async () => {
  const { clock, housekeeping } = open()
  const slow = Promise.withResolvers<void>()
  const begun = { slow: 0, quick: 0 }
  housekeeping.every(100, 'slow', () => {
    begun.slow++
    return slow.promise
  })
  housekeeping.every(100, 'quick', async () => void begun.quick++)
  for (let turn = 0; turn < 3; turn++) {
    clock.advance(100)
    await settled()
  }
  assert.deepEqual(begun, { slow: 1, quick: 3 })
  slow.resolve()
  await settled()
  assert.equal(begun.slow, 2)
  clock.advance(100)
  assert.equal(begun.slow, 3)
})

test('close waits for the round that runs, asks it to stop, and lets none begin', async () => {
  const { clock, housekeeping } = open()
  const work = Promise.withResolvers<void>()
  let begun = 0
  let asked: AbortSignal | undefined
  housekeeping.every(100, 'work', (closing) => {
    begun++
    asked = closing
    return work.promise
  })
  clock.advance(100)
  let isClosed = false
  const closed = housekeeping.close().then(() => {
    isClosed = true
  })
  await settled()
  assert.equal(asked?.aborted, true)
  assert.equal(isClosed, false)
  work.resolve()
  await closed
  clock.advance(1000)
  assert.equal(begun, 1)
})
