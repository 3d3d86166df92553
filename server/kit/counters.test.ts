import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counters } from './counters.ts'

test('what happened is counted by name, and told in the order of the names', () => {
  const counters = new Counters()
  counters.add('b')
  counters.add('a', 5)
  counters.add('b', 2)
  counters.add('c', 0)
  assert.deepEqual(Object.entries(counters.snapshot()), [
    ['a', 5],
    ['b', 3],
    ['c', 0],
  ])
})

test('a snapshot stays as it was', () => {
  const counters = new Counters()
  counters.add('a')
  const snapshot = counters.snapshot()
  counters.add('a')
  assert.deepEqual([snapshot, counters.snapshot()], [{ a: 1 }, { a: 2 }])
})
