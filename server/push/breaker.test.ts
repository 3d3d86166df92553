import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../kit/clock.ts'
import { Breaker } from './breaker.ts'

function open() {
  const clock = new ManualClock()
  const breaker = new Breaker(clock)
  const fail = (times: number) => {
    for (let count = 0; count < times; count++) breaker.failed()
  }
  return { clock, breaker, fail }
}

test('five failures in a row let a provider rest, and fewer do not', () => {
  const { breaker, fail } = open()
  fail(4)
  assert.equal(breaker.admit(), 0)
  breaker.worked()
  fail(4)
  assert.equal(breaker.admit(), 0)
  fail(1)
  assert.equal(breaker.admit(), 2_000)
})

test('after its rest one may ask, and the others wait for what becomes of that', () => {
  const { clock, breaker, fail } = open()
  fail(5)
  clock.advance(2_000)
  assert.equal(breaker.admit(), 0)
  assert.ok(breaker.admit() > 0)
  breaker.worked()
  assert.equal(breaker.admit(), 0)
  assert.equal(breaker.admit(), 0)
})

test('each failure after a rest doubles it, to five minutes', () => {
  const { clock, breaker, fail } = open()
  fail(5)
  const rests: number[] = []
  for (let count = 0; count < 10; count++) {
    rests.push(breaker.admit())
    clock.advance(breaker.admit())
    assert.equal(breaker.admit(), 0)
    breaker.failed()
  }
  assert.deepEqual(rests.slice(0, 4), [2_000, 4_000, 8_000, 16_000])
  assert.equal(rests.at(-1), 300_000)
})

test('failures of those that asked before it opened do not lengthen the rest', () => {
  const { breaker, fail } = open()
  fail(50)
  assert.equal(breaker.admit(), 2_000)
})
