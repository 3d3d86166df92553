import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inOrder } from './in-order.ts'

/** Runs that end when the test says so. */
function controlled() {
  const started: number[] = []
  const ends = new Map<number, PromiseWithResolvers<number>>()
  const run = (item: number) => {
    started.push(item)
    const end = Promise.withResolvers<number>()
    ends.set(item, end)
    return end.promise
  }
  return { started, run, end: (item: number) => ends.get(item)!.resolve(item), ends }
}

test('results come in the order of the items, whichever is done first', async () => {
  const { started, run, end } = controlled()
  const all = Array.fromAsync(inOrder([1, 2, 3], 2, run))
  await new Promise(setImmediate)
  assert.deepEqual(started, [1, 2])
  end(2)
  await new Promise(setImmediate)
  assert.deepEqual(started, [1, 2])
  end(1)
  await new Promise(setImmediate)
  assert.deepEqual(started, [1, 2, 3])
  end(3)
  assert.deepEqual(await all, [1, 2, 3])
})

test('who stops early is told when nothing runs any more', async () => {
  const { started, run, end } = controlled()
  const results = inOrder([1, 2, 3, 4], 2, run)
  const first = results.next()
  end(1)
  assert.equal((await first).value, 1)
  let over = false
  const stopped = results.return().then(() => {
    over = true
  })
  await new Promise(setImmediate)
  assert.equal(over, false)
  end(2)
  await stopped
  assert.deepEqual(started, [1, 2])
})

test('one that fails ends all, after what runs beside it', async () => {
  const { started, run, end, ends } = controlled()
  const all = Array.fromAsync(inOrder([1, 2, 3, 4], 2, run))
  ends.get(1)!.reject(new Error('first'))
  let over = false
  const failed = all.catch((error: Error) => {
    over = true
    return error.message
  })
  await new Promise(setImmediate)
  assert.equal(over, false)
  end(2)
  assert.equal(await failed, 'first')
  assert.deepEqual(started, [1, 2])
})
