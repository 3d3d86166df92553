import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import type { AvatarStore } from './avatars.ts'

const HOUR_MS = 60 * 60_000

/** A file store in memory that fails for what is in `broken`. */
class Shelf implements AvatarStore {
  readonly deleted: string[] = []
  readonly broken = new Set<string>()

  async delete(key: string): Promise<void> {
    if (this.broken.has(key)) throw new Error('the shelf is stuck')
    this.deleted.push(key)
  }

  async exists(key: string): Promise<boolean> {
    return !this.deleted.includes(key)
  }
}

async function open(t: TestContext, avatars?: AvatarStore) {
  const { profileStore: store, clock, sql, bugs, housekeeping } = await openRules(t, { avatars })
  /** Takes a place with each avatar and leaves it. */
  const unwant = async (...keys: string[]) => {
    for (const key of keys) {
      const place = randomBytes(32)
      await store.takePlace(place, key, clock.nowMs() + HOUR_MS, clock.nowMs())
      await store.leavePlace(place, clock.nowMs())
    }
  }
  /** Lets an hour pass, and the sweep that it starts. */
  const hour = async () => {
    clock.advance(HOUR_MS)
    await sql.idle()
  }
  return { store, clock, bugs, housekeeping, unwant, hour }
}

test('every hour what is due goes from the shelf, once', async (t) => {
  const shelf = new Shelf()
  const { store, unwant, hour, clock, bugs, housekeeping } = await open(t, shelf)
  const many = Array.from({ length: 120 }, (_, index) => `a${index}`)
  await unwant(...many)
  await hour()
  assert.deepEqual(shelf.deleted.toSorted(), many.toSorted())
  await hour()
  assert.equal(shelf.deleted.length, many.length)
  assert.deepEqual(await store.unwanted(clock.nowMs(), 9), [])
  await unwant('late')
  await housekeeping.close()
  await hour()
  assert.ok(!shelf.deleted.includes('late'), 'a sweep that was closed')
  assert.deepEqual(bugs, [])
})

test('what cannot be removed is tried again later, and keeps nobody else waiting', async (t) => {
  const shelf = new Shelf()
  const { unwant, hour, bugs } = await open(t, shelf)
  shelf.broken.add('b')
  await unwant('a', 'b', 'c')
  await hour()
  assert.deepEqual(shelf.deleted.toSorted(), ['a', 'c'])
  shelf.broken.clear()
  await hour()
  assert.deepEqual(shelf.deleted.toSorted(), ['a', 'b', 'c'])
  assert.deepEqual(bugs.splice(0), [new Error('the shelf is stuck')])
})

test('without a shelf what is due waits, and places expire all the same', async (t) => {
  const { store, clock, unwant, hour } = await open(t)
  await unwant('a')
  await store.takePlace(randomBytes(32), 'b', clock.nowMs() + HOUR_MS, 0)
  await store.takePlace(randomBytes(32), 'c', clock.nowMs() + 2 * HOUR_MS, 0)
  await hour()
  assert.deepEqual((await store.unwanted(clock.nowMs(), 9)).sort(), ['a', 'b'])
  await hour()
  assert.deepEqual((await store.unwanted(clock.nowMs(), 9)).sort(), ['a', 'b', 'c'])
})
