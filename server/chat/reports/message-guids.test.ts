import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newAci } from '../../../test/sample-account.ts'
import { ManualClock } from '../../kit/clock.ts'
import { SeededRandom } from '../../kit/random.ts'
import { MessageGuids } from './message-guids.ts'

const DAY_MS = 86_400_000

function open() {
  const clock = new ManualClock()
  clock.set(Math.ceil(clock.nowMs() / DAY_MS) * DAY_MS)
  const guids = new MessageGuids(Buffer.alloc(32, 1), clock, new SeededRandom(1))
  return { clock, guids, sender: newAci(), recipient: newAci() }
}

test('a guid proves who wrote to whom, and nothing else does', () => {
  const { clock, guids, sender, recipient } = open()
  const guid = guids.make(sender, recipient)
  assert.equal(guids.proves(guid, sender, recipient), true)
  assert.equal(guids.proves(guid, recipient, sender), false)
  assert.equal(guids.proves(guid, sender, newAci()), false)
  assert.equal(guids.proves(guid, newAci(), recipient), false)
  const other = new MessageGuids(Buffer.alloc(32, 2), clock, new SeededRandom(1))
  assert.equal(other.proves(guid, sender, recipient), false)
  for (const at of [0, 1, 10, 15]) {
    const spoilt = Buffer.from(guid)
    spoilt[at]! ^= 1
    assert.equal(guids.proves(spoilt, sender, recipient), false, `byte ${at}`)
  }
  assert.equal(guids.proves(guid.subarray(1), sender, recipient), false)
})

test('no two guids are the same', () => {
  const { guids, sender, recipient } = open()
  const made = Array.from({ length: 1000 }, () => guids.make(sender, recipient).toString('hex'))
  assert.equal(new Set(made).size, 1000)
})

test('a guid proves until seven days after its own are over', () => {
  const { clock, guids, sender, recipient } = open()
  const guid = guids.make(sender, recipient)
  clock.advance(8 * DAY_MS - 1)
  assert.equal(guids.proves(guid, sender, recipient), true)
  assert.equal(guids.proves(guids.make(sender, recipient), sender, recipient), true)
  clock.advance(1)
  assert.equal(guids.proves(guid, sender, recipient), false)
  clock.advance(-9 * DAY_MS)
  assert.equal(guids.proves(guid, sender, recipient), false)
})
