import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newAci } from '../../../test/sample-account.ts'
import { ManualClock } from '../../kit/clock.ts'
import { SeededRandom } from '../../kit/random.ts'
import { Strangers } from './strangers.ts'

const DAY_MS = 86_400_000

function open(perDay: number) {
  const clock = new ManualClock()
  clock.set(Math.ceil(clock.nowMs() / DAY_MS) * DAY_MS)
  return { clock, strangers: new Strangers({ clock, random: new SeededRandom(1), perDay }) }
}

test('so many strangers a day, each as often as wanted, and not one more', () => {
  const { clock, strangers } = open(3)
  const [sender, other] = [newAci(), newAci()]
  const met = [newAci(), newAci(), newAci()]
  for (const stranger of [...met, ...met]) assert.equal(strangers.admit(sender, stranger), true)
  const oneMore = newAci()
  assert.equal(strangers.admit(sender, oneMore), false)
  assert.equal(strangers.admit(sender, met[0]!), true)
  assert.equal(strangers.admit(other, oneMore), true)
  clock.advance(DAY_MS - 1)
  assert.equal(strangers.admit(sender, oneMore), false)
  assert.equal(strangers.untilTomorrowMs, 1)
  clock.advance(1)
  assert.equal(strangers.admit(sender, oneMore), true)
})

test('who wrote first is no stranger, but one who was not let through did not write', () => {
  const { strangers } = open(1)
  const [sender, friend, stranger] = [newAci(), newAci(), newAci()]
  assert.equal(strangers.admit(friend, sender), true)
  assert.equal(strangers.admit(sender, friend), true)
  assert.equal(strangers.admit(sender, stranger), true)
  const blocked = newAci()
  assert.equal(strangers.admit(sender, blocked), false)
  assert.equal(strangers.admit(blocked, newAci()), true)
  assert.equal(strangers.admit(blocked, sender), false)
})

test('who is forgiven may meet as many again', () => {
  const { strangers } = open(2)
  const sender = newAci()
  for (let round = 0; round < 2; round++) {
    assert.equal(strangers.admit(sender, newAci()), true)
    assert.equal(strangers.admit(sender, newAci()), true)
    assert.equal(strangers.admit(sender, newAci()), false)
    strangers.forgive(sender)
  }
})
