import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { freshEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { inOrder, keysOf, manifestAt, newItem, newItems, noise } from '../../../test/records.ts'
import { refusedAs } from '../../../test/registrar.ts'
import { newAci } from '../../../test/sample-account.ts'
import { openRecords } from '../../../test/storage-rules.ts'
import type { Credentials } from '../../../wire/route.ts'
import type { WriteRequest } from './records.ts'

const DAY_MS = 86_400_000
const open = async (t: TestContext) => openRecords((await freshEngine('sqlite', t))!)
const requestOf = (version: number, more: Partial<WriteRequest> = {}): WriteRequest => ({
  manifest: manifestAt(version),
  inserts: [],
  deletes: [],
  clearAll: false,
  ...more,
})
const WRITTEN = { kind: 'written' }

test('the first manifest has any version, and each that follows the next', async (t) => {
  const { records, own, counters } = await open(t)
  assert.equal(await records.manifest(own), undefined)
  assert.deepEqual(await records.write(own, requestOf(41)), WRITTEN)
  const second = requestOf(42)
  assert.deepEqual(await records.write(own, second), WRITTEN)
  for (const version of [40, 41, 42, 44]) {
    const outcome = await records.write(own, requestOf(version))
    assert.deepEqual(plain(outcome), plain({ kind: 'conflict', current: second.manifest }))
  }
  const counted = counters.snapshot()
  assert.deepEqual([counted['records.written'], counted['records.conflicts']], [2, 4])
})

test('a manifest comes to who knows another version of it', async (t) => {
  const { records, own } = await open(t)
  assert.equal(await records.newerManifest(own, -1), undefined)
  const request = requestOf(3)
  await records.write(own, request)
  assert.equal(await records.newerManifest(own, 3), undefined)
  for (const known of [-1, 0, 2, 4])
    assert.deepEqual(plain(await records.newerManifest(own, known)), plain(request.manifest))
})

test('a write without a manifest, or with a version that cannot be counted on, is refused', async (t) => {
  const { records, own } = await open(t)
  await assert.rejects(records.write(own, { ...requestOf(1), manifest: undefined }), refusedAs('bad-request'))
  for (const version of [2 ** 53, 2 ** 64])
    await assert.rejects(records.write(own, requestOf(version)), refusedAs('bad-request'))
  assert.equal(await records.manifest(own), undefined)
})

test('a write is as large as it may be, and no larger', async (t) => {
  const { records, own } = await open(t)
  const keys = Array.from({ length: 100_000 }, (_, index) => new Uint8Array(new Uint32Array([index]).buffer))
  const least = keys.slice(0, 50_000).map((key) => ({ key, value: new Uint8Array(0) }))
  const tooLarge: Partial<WriteRequest>[] = [
    { inserts: least, deletes: keys.slice(99_999) },
    { inserts: least.slice(1), deletes: keys.slice(99_997) },
    { deletes: [...keys, noise(4)] },
    { inserts: [{ key: noise(129), value: noise(1) }] },
    { deletes: [noise(129)] },
    { inserts: [newItem(128 * 1024 + 1)] },
    { manifest: manifestAt(1, 4 * 1024 * 1024 + 1) },
  ]
  for (const more of tooLarge)
    await assert.rejects(records.write(own, requestOf(1, more)), refusedAs('too-large'))
  assert.equal(await records.manifest(own), undefined)
  const large: Partial<WriteRequest>[] = [
    { inserts: least.slice(0, 49_999), deletes: keys.slice(99_998) },
    { deletes: keys },
    { inserts: [{ key: noise(128), value: noise(128 * 1024) }], manifest: manifestAt(3, 4 * 1024 * 1024) },
  ]
  for (const [index, more] of large.entries())
    assert.deepEqual(await records.write(own, requestOf(index + 1, more)), WRITTEN)
})

test('a record needs a key', async (t) => {
  const { records, own } = await open(t)
  const empty = noise(0)
  for (const more of [{ inserts: [{ key: empty, value: noise(1) }] }, { deletes: [empty] }])
    await assert.rejects(records.write(own, requestOf(1, more)), refusedAs('bad-request'))
  assert.deepEqual(await records.read(own, [empty]), [])
})

test('what one write removes and stores is stored, and of two values the last', async (t) => {
  const { records, own } = await open(t)
  const [first, second] = newItems(2)
  const again = { key: first!.key, value: noise(3) }
  const inserts = [first!, second!, again]
  await records.write(own, requestOf(1, { inserts, deletes: keysOf(inserts) }))
  assert.deepEqual(inOrder(await records.read(own, keysOf(inserts))), inOrder([again, second!]))
})

test('as many records are read at once as may be, each once, and no more', async (t) => {
  const { records, own } = await open(t)
  const items = newItems(5120, 10)
  await records.write(own, requestOf(1, { inserts: items }))
  assert.deepEqual(inOrder(await records.read(own, keysOf(items))), inOrder(items))
  const [some] = items
  assert.deepEqual(inOrder(await records.read(own, [some!.key, some!.key])), inOrder([some!]))
  await assert.rejects(records.read(own, [...keysOf(items), noise(16)]), refusedAs('too-large'))
  await assert.rejects(records.read(own, []), refusedAs('bad-request'))
})

test('an answer stays within what a server can hold for many', async (t) => {
  const { records, own } = await open(t)
  const items = newItems(257, 128 * 1024)
  for (let at = 0; at < items.length; at += 64)
    await records.write(own, requestOf(1 + at / 64, { inserts: items.slice(at, at + 64) }))
  assert.equal((await records.read(own, keysOf(items).slice(1))).length, 256)
  await assert.rejects(records.read(own, keysOf(items)), refusedAs('too-large'))
})

test('credentials are good for a day, for whom they were given, as they were given', async (t) => {
  const { records, own, clock, credentials, aci } = await open(t)
  const issuedAtMs = Math.floor(clock.nowMs() / 1000) * 1000
  await records.write(own, requestOf(1))
  const [, seconds, signature] = own.password.split(':')
  const other = newAci()
  const wrong: Credentials[] = [
    { username: other, password: own.password },
    { username: other, password: [other, seconds, signature].join(':') },
    { username: aci, password: [aci, Number(seconds) + 1, signature].join(':') },
    { username: aci, password: [seconds, signature].join(':') },
    { username: aci, password: `${own.password.slice(0, -1)}${own.password.endsWith('0') ? '1' : '0'}` },
    { username: aci, password: own.password.slice(0, -1) },
    { username: aci, password: '' },
    { username: '', password: '' },
    // Ours, and nobody's.
    credentials.issue('+12025550123'),
  ]
  const calls = (one: Credentials) => [
    () => records.manifest(one),
    () => records.newerManifest(one, -1),
    () => records.read(one, [noise(16)]),
    () => records.write(one, requestOf(2)),
    () => records.clear(one),
  ]
  for (const one of wrong)
    for (const call of calls(one)) await assert.rejects(call(), refusedAs('invalid-credentials'))
  clock.set(issuedAtMs + DAY_MS)
  assert.equal((await records.manifest(own))!.version, 1)
  clock.set(issuedAtMs + DAY_MS + 1000)
  for (const call of calls(own)) await assert.rejects(call(), refusedAs('invalid-credentials'))
  assert.equal((await records.manifest(credentials.issue(aci)))!.version, 1)
})

test('O6: credentials from before an account was deleted bring no record of it back', async (t) => {
  const { records, own, clock, credentials, sql, aci, store } = await open(t)
  await records.write(own, requestOf(1, { inserts: [newItem()] }))
  clock.advance(5000)
  const lastOfOld = credentials.issue(aci)
  await sql.write(records.deleted({ aci }))
  for (const one of [own, lastOfOld]) {
    await assert.rejects(records.write(one, requestOf(1)), refusedAs('invalid-credentials'))
    await assert.rejects(records.manifest(one), refusedAs('invalid-credentials'))
  }
  assert.equal(await store.manifest(aci), undefined)
  clock.advance(1000)
  // The same person registers again, and has the same identifier.
  const anew = credentials.issue(aci)
  assert.deepEqual(await records.write(anew, requestOf(1)), WRITTEN)
  await records.forgetDeleted()
  await assert.rejects(records.manifest(lastOfOld), refusedAs('invalid-credentials'))
  clock.advance(DAY_MS + 1000)
  await records.forgetDeleted()
  assert.equal(await store.isOwnerDeleted(aci, 0), false)
  await assert.rejects(records.manifest(lastOfOld), refusedAs('invalid-credentials'))
})

test('O6: a write that was under way when its account was deleted leaves nothing', async (t) => {
  const { records, own, clock, sql, aci, store } = await open(t)
  clock.advance(1000)
  const item = newItem()
  const writing = records.write(own, requestOf(1, { inserts: [item] }))
  const refused = assert.rejects(writing, refusedAs('invalid-credentials'))
  // It has only asked so far whose the credentials are.
  await sql.write(records.deleted({ aci }))
  await refused
  assert.equal(await store.manifest(aci), undefined)
})
