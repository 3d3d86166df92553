import assert from 'node:assert/strict'
import { forEachEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { inOrder, keysOf, manifestAt, newItem, newItems, noise } from '../../../test/records.ts'
import { newAci } from '../../../test/sample-account.ts'
import { openStorageTables } from '../../../test/storage-rules.ts'
import type { Aci } from '../../../wire/types.ts'
import { type Item, RecordStore, type RecordsWrite } from './store.ts'

const ISSUED_AT_MS = 1000
const writeOf = (version: number, more: Partial<RecordsWrite> = {}): RecordsWrite => ({
  manifest: manifestAt(version),
  inserts: [],
  deletes: [],
  clearAll: false,
  ...more,
})

async function itemsOf(store: RecordStore, aci: Aci, keys: readonly Uint8Array[]): Promise<Item[]> {
  const found: Item[] = []
  for await (const items of store.items(aci, keys)) found.push(...items)
  return found
}

forEachEngine('records come back as they were, to their owner alone', async (open) => {
  const store = new RecordStore(await openStorageTables(open))
  const [mine, yours] = [newAci(), newAci()]
  const items = [
    ...newItems(150),
    { key: noise(1), value: noise(0) },
    { key: noise(128), value: noise(9000) },
  ]
  const write = writeOf(3, { inserts: items })
  assert.equal(await store.write(mine, ISSUED_AT_MS, write), 'written')
  assert.deepEqual(plain(await store.manifest(mine)), plain(write.manifest))
  const asked = [...keysOf(items), noise(16), noise(15)]
  assert.deepEqual(inOrder(await itemsOf(store, mine, asked)), inOrder(items))
  assert.equal(await store.manifest(yours), undefined)
  assert.deepEqual(await itemsOf(store, yours, asked), [])
})

forEachEngine('a write replaces, adds and removes what it names, and nothing else', async (open) => {
  const store = new RecordStore(await openStorageTables(open))
  const aci = newAci()
  const [kept, replaced, gone] = [newItems(70), newItems(70), newItems(70)]
  await store.write(aci, ISSUED_AT_MS, writeOf(1, { inserts: [...kept, ...replaced, ...gone] }))
  const anew = replaced.map(({ key }) => ({ key, value: noise(5) }))
  const change = writeOf(2, { inserts: anew, deletes: [...keysOf(gone), noise(16)] })
  assert.equal(await store.write(aci, ISSUED_AT_MS, change), 'written')
  const asked = keysOf([...kept, ...replaced, ...gone])
  assert.deepEqual(inOrder(await itemsOf(store, aci, asked)), inOrder([...kept, ...anew]))
})

forEachEngine('a write of another version than the next one changes nothing', async (open) => {
  const store = new RecordStore(await openStorageTables(open))
  const aci = newAci()
  const items = newItems(3)
  const first = writeOf(7, { inserts: items })
  await store.write(aci, ISSUED_AT_MS, first)
  for (const version of [0, 6, 7, 9]) {
    const late = writeOf(version, { inserts: [newItem()], deletes: keysOf(items), clearAll: true })
    assert.equal(await store.write(aci, ISSUED_AT_MS, late), 'late')
    assert.deepEqual(inOrder(await itemsOf(store, aci, keysOf([...items, ...late.inserts]))), inOrder(items))
  }
  assert.deepEqual(plain(await store.manifest(aci)), plain(first.manifest))
})

forEachEngine('clearing with a write leaves what the write brings', async (open) => {
  const store = new RecordStore(await openStorageTables(open))
  const [aci, other] = [newAci(), newAci()]
  const [before, after] = [newItems(10), newItems(10)]
  for (const one of [aci, other]) await store.write(one, ISSUED_AT_MS, writeOf(1, { inserts: before }))
  await store.write(aci, ISSUED_AT_MS, writeOf(2, { inserts: after, clearAll: true }))
  assert.deepEqual(inOrder(await itemsOf(store, aci, keysOf([...before, ...after]))), inOrder(after))
  assert.deepEqual(inOrder(await itemsOf(store, other, keysOf(before))), inOrder(before))
})

forEachEngine('what is cleared begins with any version again', async (open) => {
  const store = new RecordStore(await openStorageTables(open))
  const aci = newAci()
  const items = newItems(5)
  await store.write(aci, ISSUED_AT_MS, writeOf(5, { inserts: items }))
  assert.equal(await store.clear(aci, ISSUED_AT_MS), 'written')
  assert.equal(await store.manifest(aci), undefined)
  assert.deepEqual(await itemsOf(store, aci, keysOf(items)), [])
  assert.equal(await store.write(aci, ISSUED_AT_MS, writeOf(2)), 'written')
})

forEachEngine(
  'who was deleted has nothing left, and gets nothing by credentials from before',
  async (open) => {
    const sql = await openStorageTables(open)
    const store = new RecordStore(sql)
    const aci = newAci()
    const items = newItems(5)
    await store.write(aci, ISSUED_AT_MS, writeOf(1, { inserts: items }))
    await sql.write(store.deleted(aci, ISSUED_AT_MS + 500))
    assert.equal(await store.manifest(aci), undefined)
    assert.deepEqual(await itemsOf(store, aci, keysOf(items)), [])
    for (const issuedAtMs of [ISSUED_AT_MS, ISSUED_AT_MS + 500]) {
      assert.equal(await store.isOwnerDeleted(aci, issuedAtMs), true)
      assert.equal(await store.write(aci, issuedAtMs, writeOf(1)), 'owner-deleted')
      assert.equal(await store.clear(aci, issuedAtMs), 'owner-deleted')
    }
    assert.equal(await store.isOwnerDeleted(aci, ISSUED_AT_MS + 501), false)
    assert.equal(await store.write(aci, ISSUED_AT_MS + 501, writeOf(1)), 'written')
    await sql.write(store.deleted(aci, ISSUED_AT_MS + 700))
    assert.equal(await store.isOwnerDeleted(aci, ISSUED_AT_MS + 700), true)
    await store.forgetDeleted(ISSUED_AT_MS + 700)
    assert.equal(await store.isOwnerDeleted(aci, ISSUED_AT_MS + 700), true)
    await store.forgetDeleted(ISSUED_AT_MS + 701)
    assert.equal(await store.isOwnerDeleted(aci, ISSUED_AT_MS + 700), false)
  },
)
