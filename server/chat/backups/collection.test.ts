import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { MemoryObjects } from '../../../test/memory-objects.ts'
import { until } from '../../../test/until.ts'
import { mediaFolderOf } from './store.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

async function open(t: TestContext) {
  const objects = new MemoryObjects()
  const rules = await openRules(t, { objects })
  const { backupStore, clock } = rules
  const today = () => Math.floor(clock.nowMs() / DAY_MS) * DAY_MS
  /** A backup with a message backup and a medium in it. */
  const add = async (withMedia = true) => {
    const idHash = randomBytes(16)
    const name = () => randomBytes(16).toString('base64url')
    const fresh = { backupDir: name(), mediaDir: name() }
    await backupStore.claim(idHash, randomBytes(33), fresh, { dayMs: today(), withMedia })
    const backup = (await backupStore.find(idHash))!
    objects.stored.set(`${backup.backupDir}/messageBackup`, 5)
    objects.stored.set(`${mediaFolderOf(backup)}/one`, 7)
    await backupStore.reserve(backup, { bytes: 7, objects: 1 }, 100)
    return backup
  }
  const refresh = (idHash: Uint8Array, withMedia: boolean) =>
    backupStore.refresh(idHash, { dayMs: today(), withMedia })
  return { ...rules, objects, add, refresh }
}

test('a backup that nobody refreshed for 120 days is removed with its objects', async (t) => {
  const { add, collection, clock, backupStore, objects } = await open(t)
  const backup = await add()
  const kept = await add()
  clock.set(clock.nowMs() + 120 * DAY_MS)
  await backupStore.refresh(kept.idHash, { dayMs: clock.nowMs(), withMedia: true })
  await collection.run()
  assert.ok(await backupStore.find(backup.idHash))
  clock.set(clock.nowMs() + DAY_MS)
  await collection.run()
  assert.equal(await backupStore.find(backup.idHash), undefined)
  assert.ok(await backupStore.find(kept.idHash))
  assert.ok([...objects.stored.keys()].every((path) => path.startsWith(`${kept.backupDir}/`)))
  assert.equal(objects.stored.size, 2)
  assert.deepEqual(await backupStore.discarded(10), [])
})

test('who may not keep media any more loses them after 120 days, and nothing else', async (t) => {
  const { add, refresh, collection, clock, backupStore, objects } = await open(t)
  const backup = await add()
  clock.set(clock.nowMs() + 121 * DAY_MS)
  await refresh(backup.idHash, false)
  await collection.run()
  const after = (await backupStore.find(backup.idHash))!
  assert.equal(after.backupDir, backup.backupDir)
  assert.notEqual(after.mediaDir, backup.mediaDir)
  assert.deepEqual(after.usage, { bytes: 0, objects: 0 })
  assert.deepEqual([...objects.stored.keys()], [`${backup.backupDir}/messageBackup`])
})

test('media that were never paid for are not looked at', async (t) => {
  const { add, collection, clock, refresh, backupStore } = await open(t)
  const backup = await add(false)
  clock.set(clock.nowMs() + 121 * DAY_MS)
  await refresh(backup.idHash, false)
  await collection.run()
  assert.equal((await backupStore.find(backup.idHash))!.mediaDir, backup.mediaDir)
})

test('a backup that was given up is emptied and forgotten, unless it is used again', async (t) => {
  const { add, refresh, collection, backups, backupStore, objects } = await open(t)
  const [gone, back] = [await add(), await add()]
  for (const backup of [gone, back])
    await backups.deleteAll({ idHash: backup.idHash, type: 1, level: 201, backup })
  await refresh(back.idHash, true)
  await collection.run()
  assert.equal(await backupStore.find(gone.idHash), undefined)
  assert.ok(await backupStore.find(back.idHash))
  assert.equal(objects.stored.size, 0)
  assert.deepEqual(await backupStore.discarded(10), [])
})

test('more than a page goes in one run', async (t) => {
  const { add, collection, clock, sql, objects } = await open(t)
  for (let count = 0; count < 230; count++) await add()
  clock.set(clock.nowMs() + 200 * DAY_MS)
  await collection.run()
  assert.deepEqual(await sql.read('SELECT * FROM stored_backups'), [])
  assert.equal(objects.stored.size, 0)
})

test('folders whose objects could not be deleted stay on the list', async (t) => {
  const { add, collection, clock, backupStore, objects } = await open(t)
  const backup = await add()
  clock.set(clock.nowMs() + 200 * DAY_MS)
  objects.deleteFolder = () => Promise.reject(new Error('no disk'))
  await assert.rejects(collection.run(), /no disk/)
  assert.deepEqual(await backupStore.discarded(10), [backup.backupDir])
  delete (objects as Partial<MemoryObjects>).deleteFolder
  await collection.run()
  assert.deepEqual(await backupStore.discarded(10), [])
  assert.equal(objects.stored.size, 0)
})

test('it works once an hour by itself, and not after it was closed', async (t) => {
  const { add, housekeeping, clock, backupStore, objects } = await open(t)
  const backup = await add()
  clock.set(clock.nowMs() + 200 * DAY_MS)
  clock.advance(HOUR_MS - 1)
  assert.ok(await backupStore.find(backup.idHash))
  clock.advance(1)
  await until(() => objects.stored.size === 0, 'the objects to go')
  assert.equal(await backupStore.find(backup.idHash), undefined)
  const later = await add()
  clock.set(clock.nowMs() + 200 * DAY_MS)
  await housekeeping.close()
  clock.advance(HOUR_MS)
  assert.ok(await backupStore.find(later.idHash))
})

test('receipts are forgotten a day after they expired', async (t) => {
  const { collection, clock, sql } = await open(t)
  const insert = 'INSERT INTO redeemed_receipts (serial, expires_at_ms) VALUES ($1, $2)'
  for (const ageMs of [0, DAY_MS - 1, DAY_MS + 1])
    await sql.write([{ sql: insert, args: [randomBytes(16), clock.nowMs() - ageMs] }])
  await collection.run()
  assert.equal((await sql.read('SELECT * FROM redeemed_receipts')).length, 2)
})
