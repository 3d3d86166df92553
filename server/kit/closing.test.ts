import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Closing, opening } from './closing.ts'

function thing(name: string, closed: string[], error?: Error) {
  return {
    name,
    async close() {
      closed.push(name)
      if (error) throw error
    },
  }
}

test('what was opened last is closed first', async () => {
  const closed: string[] = []
  let all: Closing | undefined
  const name = await opening(async (closing) => {
    all = closing
    closing.add(thing('a', closed))
    return closing.add(thing('b', closed)).name
  })
  assert.equal(name, 'b')
  assert.deepEqual(closed, [])
  await all!.close()
  assert.deepEqual(closed, ['b', 'a'])
  await all!.close()
  assert.deepEqual(closed, ['b', 'a'], 'and nothing twice')
})

test('if opening fails, what was opened is closed, and the failure is told', async () => {
  const closed: string[] = []
  const failure = new Error('no port')
  const failing = opening(async (closing) => {
    closing.add(thing('a', closed, new Error('another')))
    closing.add(thing('b', closed))
    throw failure
  })
  await assert.rejects(failing, failure)
  assert.deepEqual(closed, ['b', 'a'])
})

test('one that cannot be closed keeps no other from it', async () => {
  const closed: string[] = []
  const failure = new Error('stuck')
  const all = await opening(async (closing) => {
    closing.add(thing('a', closed))
    closing.add(thing('b', closed, failure))
    return closing
  })
  await assert.rejects(all.close(), failure)
  assert.deepEqual(closed, ['b', 'a'])
})
