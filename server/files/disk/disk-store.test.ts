import assert from 'node:assert/strict'
import { link, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { broken, gather, openDisk, patterned, pieces } from '../../../test/files/disk.ts'
import { FileRefusal, type FileRefusalKind } from '../file-store.ts'
import { objectPath } from '../object-key.ts'
import { ABANDONED_AFTER_MS } from './disk-store.ts'
import { uploadName } from './upload-record.ts'

const KEY = 'attachments/abcdefghijklmnopqrst'
const refusedAs = (kind: FileRefusalKind) => (error: unknown) =>
  error instanceof FileRefusal && error.kind === kind

test('what was finished is read as it was sent, whole or a range of it', async (t) => {
  const { store, clock } = await openDisk(t)
  const bytes = patterned(700_001)
  const upload = await store.begin(KEY, bytes.length)
  assert.equal(await upload.append(pieces(bytes)), bytes.length)
  assert.equal(await store.stat(KEY), undefined, 'nothing is there before the end')
  const stored = await upload.finish()
  assert.deepEqual(stored, await store.stat(KEY))
  assert.equal(stored.length, bytes.length)
  assert.equal(stored.storedAtMs, clock.nowMs())
  assert.match(stored.etag, /^"[\w-]{22}"$/)
  assert.ok(bytes.equals(await gather(store.read(KEY))))
  const range = { first: 65_535, last: 400_000 }
  assert.ok(bytes.subarray(65_535, 400_001).equals(await gather(store.read(KEY, range))))
  const file = await store.open(KEY)
  assert.ok(bytes.subarray(1, 3).equals(await gather(file!.read({ first: 1, last: 2 }))))
})

test('a broken line loses nothing that came, and the rest is added later, by another process too', async (t) => {
  const { store, again, files } = await openDisk(t)
  const bytes = patterned(600_000)
  const upload = await store.begin(KEY, 1_000_000)
  await assert.rejects(upload.append(broken(bytes.subarray(0, 333_333))), /the line broke/)
  const later = await (await again()).resume(KEY)
  assert.equal(later?.offset, 333_333)
  await later.declare(bytes.length)
  await assert.rejects(later.finish(), refusedAs('incomplete'))
  await later.append(pieces(bytes.subarray(333_333)))
  await later.finish()
  assert.ok(bytes.equals(await gather(store.read(KEY))))
  assert.deepEqual(await files(), [`objects/${objectPath(KEY)}`], 'nothing else is left')
  assert.equal(await store.resume(KEY), undefined)
})

test('nothing is overwritten, neither by a later upload nor by one that ran beside it (F1)', async (t) => {
  const { store, again } = await openDisk(t)
  const first = await store.begin(KEY, 10)
  await first.append(pieces(patterned(10)))
  // Another process, as the keys of one lock do not hold the other.
  const racing = await (await again()).resume(KEY)
  await first.finish()
  await assert.rejects(store.begin(KEY, 10), refusedAs('exists'))
  await assert.rejects(racing!.finish())
  assert.ok(patterned(10).equals(await gather(store.read(KEY))))
})

test('a file that takes the place of another does so whole, and has another tag', async (t) => {
  const { store } = await openDisk(t)
  const key = 'backups/abcdef/messageBackup'
  const put = async (bytes: Buffer) => {
    const upload = await store.begin(key, 100, { replaces: true })
    await upload.append(pieces(bytes))
    return upload
  }
  const before = await (await put(Buffer.from('one'))).finish()
  const opened = await store.open(key)
  const next = await put(Buffer.from('two'))
  assert.equal(String(await gather(store.read(key))), 'one')
  const after = await next.finish()
  assert.notEqual(before.etag, after.etag)
  assert.equal(String(await gather(store.read(key))), 'two')
  assert.equal(String(await gather(opened!.read())), 'one', 'who reads already reads on')
})

test('more than was declared or allowed is refused, and an empty file is none', async (t) => {
  const { store } = await openDisk(t)
  await assert.rejects(store.begin(KEY, 10, { length: 11 }), refusedAs('too-long'))
  const upload = await store.begin(KEY, 10)
  await assert.rejects(upload.append(pieces(patterned(11), 4)), refusedAs('too-long'))
  assert.equal(upload.offset, 8)
  await assert.rejects(upload.declare(7), refusedAs('too-long'))
  await assert.rejects(upload.declare(11), refusedAs('too-long'))
  await upload.declare(9)
  await assert.rejects(upload.declare(10), refusedAs('other-length'))
  await assert.rejects(upload.append(pieces(patterned(2))), refusedAs('too-long'))
  await assert.rejects((await store.begin('attachments/empty', 10)).finish(), refusedAs('incomplete'))
})

test('a file with another digest than was promised is not kept', async (t) => {
  const { store, files } = await openDisk(t)
  const upload = await store.begin(KEY, 10, { sha256: Buffer.alloc(32) })
  await upload.append(pieces(patterned(10)))
  await assert.rejects(upload.finish(), refusedAs('wrong-digest'))
  assert.deepEqual(await files(), [])
})

test('who resumes displaces who was appending, and finds all that came from them', async (t) => {
  const { store } = await openDisk(t)
  const upload = await store.begin(KEY, 100)
  const silence = Promise.withResolvers<void>()
  const heard = Promise.withResolvers<void>()
  async function* stuck() {
    yield patterned(50)
    heard.resolve()
    await silence.promise
    yield patterned(50)
  }
  const first = assert.rejects(upload.append(stuck()), refusedAs('displaced'))
  await heard.promise
  const second = await store.resume(KEY)
  await first
  assert.equal(second?.offset, 50)
  silence.resolve()
  await assert.rejects(upload.append(pieces(patterned(1))), refusedAs('displaced'))
  await second.append(pieces(patterned(50, 50)))
  await second.finish()
  assert.ok(patterned(100).equals(await gather(store.read(KEY))))
})

test('a store that is full says so, keeps what it has, and takes more when room is made (F2)', async (t) => {
  const { store, again } = await openDisk(t, { maxBytes: 1000 })
  const first = await store.begin(KEY, 600)
  await first.append(pieces(patterned(600)))
  await first.finish()
  await assert.rejects(store.begin('attachments/other', 5000, { length: 401 }), refusedAs('full'))
  const other = await store.begin('attachments/other', 5000)
  await assert.rejects(other.append(pieces(patterned(2000), 300)), refusedAs('full'))
  const restarted = await again()
  await assert.rejects(restarted.begin('attachments/third', 500, { length: 401 }), refusedAs('full'))
  assert.equal(await restarted.delete(KEY), 600)
  assert.equal(await restarted.delete(KEY), 0)
  const third = await restarted.begin('attachments/third', 500, { length: 401 })
  assert.equal(await third.append(pieces(patterned(401))), 401)
})

test('uploads that nobody goes on with are collected after a day, and what a crash left of others (F2)', async (t) => {
  const { store, clock, folder, files } = await openDisk(t, { maxBytes: 1000 })
  const upload = await store.begin(KEY, 1000)
  await upload.append(pieces(patterned(900)))
  await writeFile(join(folder, 'uploads', 'f'.repeat(64)), 'stray')
  clock.set(Date.now() + ABANDONED_AFTER_MS - 60_000)
  await upload.append(pieces(patterned(1)))
  await store.collect()
  assert.equal((await files()).length, 3, 'none was left alone for long')
  clock.advance(120_000)
  await store.collect()
  assert.equal((await files()).length, 2, 'the stray file is gone')
  clock.advance(ABANDONED_AFTER_MS)
  await store.collect()
  assert.deepEqual(await files(), [])
  assert.equal(await (await store.begin(KEY, 1000, { length: 990 })).append(pieces(patterned(990))), 990)
})

test('an upload that was finished when the process ended is no upload any more', async (t) => {
  const { store, again, folder, files } = await openDisk(t)
  const upload = await store.begin(KEY, 10)
  await upload.append(pieces(patterned(10)))
  // As if it had been killed between the object's entry and the removal of the upload.
  const object = join(folder, 'objects', objectPath(KEY))
  await mkdir(dirname(object), { recursive: true })
  await link(join(folder, 'uploads', uploadName(KEY)), object)
  const restarted = await again()
  assert.equal(await restarted.resume(KEY), undefined)
  assert.equal((await restarted.stat(KEY))?.length, 10)
  assert.deepEqual(await files(), [`objects/${objectPath(KEY)}`])
})

const HOSTILE = [
  '../../etc/passwd',
  'attachments/../secrets',
  'attachments/..%2fsecrets',
  'attachments/%2e%2e/x',
  'attachments/a\0b',
  'attachments/a%00b',
  'attachments//x',
  'attachments/',
  'attachments',
  '/attachments/x',
  'attachments/x/',
  'attachments/x/y',
  'attachments/.hidden',
  'attachments/x\n',
  `attachments/${'x'.repeat(65)}`,
  'uploads/x',
  'objects/attachments/x',
  'stickers/0123456789abcdef0123456789abcdef/full/..',
  'stickers/0123456789abcdef0123456789abcdef/manifest.proto/x',
  'backups/x',
  'backups/a/b/c/d',
  'profiles\\x',
]

test('a name that is none of ours is refused before any path is made of it (I1)', async (t) => {
  const { store, files } = await openDisk(t)
  for (const key of HOSTILE) {
    await assert.rejects(store.begin(key, 10), refusedAs('bad-key'), key)
    for (const ask of [store.resume(key), store.stat(key), store.open(key), store.delete(key)])
      await assert.rejects(ask, refusedAs('bad-key'), key)
    assert.throws(() => store.read(key), refusedAs('bad-key'), key)
  }
  assert.deepEqual(await files(), [])
})

test('a name below a file, and a folder, are nothing that is stored', async (t) => {
  const { store } = await openDisk(t)
  const upload = await store.begin('backups/dir/media/one', 10)
  await upload.append(pieces(patterned(3)))
  await upload.finish()
  for (const key of ['backups/dir/media', 'backups/dir/other/one']) {
    assert.equal(await store.stat(key), undefined)
    assert.equal(await store.open(key), undefined)
    assert.equal(await store.delete(key), 0)
  }
})

test('a folder of its own is made for the store', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'helio-parent-'))
  t.after(() => rm(parent, { recursive: true }))
  await openDisk(t, { folder: join(parent, 'a', 'b') })
  assert.deepEqual((await readdir(join(parent, 'a', 'b'))).sort(), ['objects', 'uploads'])
})
