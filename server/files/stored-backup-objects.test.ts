import assert from 'node:assert/strict'
import { createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { gather, openDisk, pieces } from '../../test/files/disk.ts'
import { copiedBytes, type OuterLayer } from '../kit/backup-objects.ts'
import { systemRandom } from '../kit/random.ts'
import { Refusal } from '../kit/refusal.ts'
import { StoredBackupObjects } from './stored-backup-objects.ts'
import { storeWhole } from './whole-upload.ts'

const LAYER: OuterLayer = { encryptionKey: randomBytes(32), hmacKey: randomBytes(32) }

async function open(t: TestContext, maxBytes?: number) {
  const disk = await openDisk(t, { maxBytes })
  const { store } = disk
  const attach = async (key: string, content: Uint8Array) => {
    const upload = { minBytes: 1, maxBytes: content.length, source: pieces(content) }
    await storeWhole(store, { key: `attachments/${key}`, ...upload })
    return { cdn: 3, key, bytes: content.length }
  }
  return { ...disk, attach, objects: new StoredBackupObjects(store, systemRandom) }
}

function unwrap(copy: Buffer, { encryptionKey, hmacKey }: OuterLayer): Buffer {
  const [iv, ciphertext, mac] = [copy.subarray(0, 16), copy.subarray(16, -32), copy.subarray(-32)]
  assert.deepEqual(createHmac('sha256', hmacKey).update(iv).update(ciphertext).digest(), mac)
  const decipher = createDecipheriv('aes-256-cbc', encryptionKey, iv)
  return Buffer.concat([decipher.update(ciphertext), decipher.final()])
}

test('a copy is the attachment with a layer around it, as long as was counted', async (t) => {
  const { store, objects, attach } = await open(t)
  for (const bytes of [1, 15, 16, 17, 65_536, 300_001]) {
    const content = randomBytes(bytes)
    const source = await attach(`source-${bytes}`, content)
    const path = `dir/media/copy-${bytes}`
    const copied = await objects.copy(source, LAYER, path)
    assert.deepEqual(copied, { kind: 'copied', addedBytes: copiedBytes(bytes) })
    const copy = await gather(store.read(`backups/${path}`))
    assert.equal(copy.length, copiedBytes(bytes))
    assert.ok(unwrap(copy, LAYER).equals(content))
    assert.ok((await gather(store.read(`attachments/${source.key}`))).equals(content), 'the source stays')
  }
})

test('no two copies have one IV', async (t) => {
  const { store, objects, attach } = await open(t)
  const source = await attach('source', randomBytes(10))
  for (const name of ['a', 'b']) await objects.copy(source, LAYER, `dir/media/${name}`)
  const [a, b] = await Promise.all(['a', 'b'].map((name) => gather(store.read(`backups/dir/media/${name}`))))
  assert.notDeepEqual(a!.subarray(0, 16), b!.subarray(0, 16))
})

test('what is not there, is longer or shorter, or lies on another CDN is not copied', async (t) => {
  const { objects, attach, files } = await open(t)
  const source = await attach('source', randomBytes(100))
  const kindOf = async (more: object) =>
    (await objects.copy({ ...source, ...more }, LAYER, 'dir/media/x')).kind
  assert.equal(await kindOf({ key: 'other' }), 'source-not-found')
  assert.equal(await kindOf({ cdn: 1 }), 'source-not-found')
  assert.equal(await kindOf({ bytes: 99 }), 'wrong-length')
  assert.equal(await kindOf({ bytes: 101 }), 'wrong-length')
  assert.deepEqual(
    (await files()).filter((file) => !file.includes('attachments')),
    [],
  )
  assert.equal(await kindOf({ cdn: 2 }), 'copied')
})

test('one object copied many times at once grows the store once, and is whole', async (t) => {
  const { store, objects, attach } = await open(t)
  const content = randomBytes(50_000)
  const source = await attach('source', content)
  const copies = await Promise.all(
    Array.from({ length: 8 }, () => objects.copy(source, LAYER, 'dir/media/x')),
  )
  const added = copies.map((copy) => copy.kind === 'copied' && copy.addedBytes)
  assert.deepEqual(added, [copiedBytes(50_000), 0, 0, 0, 0, 0, 0, 0])
  const copy = await gather(store.read('backups/dir/media/x'))
  assert.ok(unwrap(copy, LAYER).equals(content))
  await objects.copy(source, LAYER, 'dir/media/x')
  assert.ok(copy.equals(await gather(store.read('backups/dir/media/x'))), 'what is there is not copied again')
})

test('another content under a name takes its place, and what it grew by is told', async (t) => {
  const { store, objects, attach } = await open(t)
  const [short, long] = [await attach('short', randomBytes(10)), await attach('long', randomBytes(1000))]
  await objects.copy(long, LAYER, 'dir/media/x')
  const copied = await objects.copy(short, LAYER, 'dir/media/x')
  assert.deepEqual(copied, { kind: 'copied', addedBytes: copiedBytes(10) - copiedBytes(1000) })
  assert.equal((await store.stat('backups/dir/media/x'))?.length, copiedBytes(10))
})

test('a folder is listed by name, a page at a time, and counted', async (t) => {
  const { objects, attach } = await open(t)
  const source = await attach('source', randomBytes(10))
  for (const name of ['c', 'a', 'e', 'b', 'd']) await objects.copy(source, LAYER, `dir/media/${name}`)
  await objects.copy(source, LAYER, 'dir/other/z')
  const first = await objects.list('dir/media', undefined, 2)
  const second = await objects.list('dir/media', first.cursor, 2)
  const third = await objects.list('dir/media', second.cursor, 2)
  const names = [first, second, third].map((page) => page.objects.map(({ name }) => name).join(''))
  assert.deepEqual(names, ['ab', 'cd', 'e'])
  assert.equal(third.cursor, undefined)
  assert.deepEqual(first.objects[0], { name: 'a', bytes: copiedBytes(10) })
  assert.deepEqual(await objects.usage('dir/media'), { bytes: 5 * copiedBytes(10), objects: 5 })
  assert.deepEqual(await objects.list('dir/none', undefined, 9), { objects: [], cursor: undefined })
  for (const cursor of ['', '../x', 'a/b', 'a\0'])
    await assert.rejects(objects.list('dir/media', cursor, 2), Refusal, cursor)
})

test('an object and a folder go, and what they took is free again', async (t) => {
  const { objects, attach, files, folder } = await open(t, 10_000)
  const source = await attach('source', randomBytes(4000))
  const paths = ['dir/media/a', 'other/media/b']
  await objects.copy(source, LAYER, paths[0]!)
  await assert.rejects(objects.copy(source, LAYER, paths[1]!), { kind: 'unavailable' })
  assert.equal(await objects.delete(paths[0]!), copiedBytes(4000))
  assert.equal(await objects.delete(paths[0]!), 0)
  await objects.copy(source, LAYER, paths[1]!)
  await objects.deleteFolder('dir')
  assert.equal((await objects.usage('other/media')).objects, 1)
  await objects.deleteFolder('other')
  await objects.deleteFolder('other')
  assert.deepEqual(await objects.usage('other/media'), { bytes: 0, objects: 0 })
  await objects.copy(source, LAYER, paths[0]!)
  assert.deepEqual((await files()).length, 2)
  assert.ok(!(await readdir(folder, { recursive: true })).some((name) => name.endsWith('other')))
})
