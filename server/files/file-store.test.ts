// What every file store promises, on each of them.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { broken, gather, patterned, pieces } from '../../test/files/disk.ts'
import { forEachStore } from '../../test/files/stores.ts'
import { ABANDONED_AFTER_MS } from './disk/disk-store.ts'
import { FileRefusal, type FileRefusalKind } from './file-store.ts'

const KEY = 'attachments/abcdefghijklmnopqrst'
const refusedAs = (kind: FileRefusalKind) => (error: unknown) =>
  error instanceof FileRefusal && error.kind === kind

forEachStore('what was finished is read as it was sent, whole or a range of it', async (open) => {
  const { store } = await open()
  const bytes = patterned(700_001)
  const upload = await store.begin(KEY, bytes.length)
  assert.equal(await upload.append(pieces(bytes)), bytes.length)
  assert.equal(await store.stat(KEY), undefined, 'nothing is there before the end')
  const stored = await upload.finish()
  assert.deepEqual(stored, await store.stat(KEY))
  assert.equal(stored.length, bytes.length)
  assert.match(stored.etag, /^"[\w-]+"$/)
  assert.ok(bytes.equals(await gather(store.read(KEY))))
  const range = { first: 65_535, last: 400_000 }
  assert.ok(bytes.subarray(65_535, 400_001).equals(await gather(store.read(KEY, range))))
  const file = await store.open(KEY)
  assert.ok(bytes.subarray(1, 3).equals(await gather(file!.read({ first: 1, last: 2 }))))
})

forEachStore(
  'a broken line loses nothing that came, and the rest is added later, by another process too',
  async (open) => {
    const { store, again, leftovers } = await open()
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
    assert.deepEqual(await leftovers(), [])
    assert.equal(await store.resume(KEY), undefined)
  },
)

forEachStore(
  'nothing is overwritten, neither by a later upload nor by one that ran beside it (F1)',
  async (open) => {
    const { store, again } = await open()
    const first = await store.begin(KEY, 10)
    await first.append(pieces(patterned(10)))
    // Another process, as the keys of one lock do not hold the other.
    const racing = await (await again()).resume(KEY)
    const stored = await first.finish()
    await assert.rejects(store.begin(KEY, 10), refusedAs('exists'))
    await racing!.finish().catch(() => {})
    assert.deepEqual(await store.stat(KEY), stored)
    assert.ok(patterned(10).equals(await gather(store.read(KEY))))
  },
)

forEachStore('a file that takes the place of another does so whole, and has another tag', async (open) => {
  const { store } = await open()
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
  const read = await gather(opened!.read()).then(String, () => 'failed')
  assert.match(read, /^(?:one|failed)$/, 'nobody is given another file than was told')
})

forEachStore('more than was declared or allowed is refused, and an empty file is none', async (open) => {
  const { store } = await open()
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

forEachStore('a file with another digest than was promised is not kept', async (open) => {
  const { store, leftovers } = await open({ partBytes: 4 })
  const upload = await store.begin(KEY, 10, { sha256: Buffer.alloc(32) })
  await upload.append(pieces(patterned(10)))
  await assert.rejects(upload.finish(), refusedAs('wrong-digest'))
  assert.equal(await store.stat(KEY), undefined)
  assert.deepEqual(await leftovers(), [])
})

forEachStore('the digest is of the whole file, whoever was interrupted on the way', async (open) => {
  const { store, again, leftovers } = await open({ partBytes: 150_000 })
  const bytes = patterned(500_000)
  const sha256 = createHash('sha256').update(bytes).digest()
  const first = await store.begin(KEY, bytes.length, { sha256 })
  await assert.rejects(first.append(broken(bytes.subarray(0, 222_222))))
  const second = await (await again()).resume(KEY)
  await second!.append(pieces(bytes.subarray(222_222, 400_000)))
  await second!.append(pieces(patterned(60_000)))
  await second!.truncate(400_000)
  const third = await (await again()).resume(KEY)
  assert.equal(third?.offset, 400_000)
  await third.append(pieces(bytes.subarray(400_000)))
  await third.finish()
  assert.ok(bytes.equals(await gather(store.read(KEY))))
  assert.deepEqual(await leftovers(), [])
})

forEachStore('what was appended last can be taken back, and others put in its place', async (open) => {
  const { store } = await open({ partBytes: 1000 })
  const bytes = patterned(4500)
  const upload = await store.begin(KEY, 10_000)
  await upload.append(pieces(bytes.subarray(0, 1500)))
  await upload.append(pieces(Buffer.alloc(5000)))
  await upload.truncate(1500)
  assert.equal(upload.offset, 1500)
  await upload.append(pieces(bytes.subarray(1500, 3000)))
  await upload.append(pieces(Buffer.alloc(1)))
  await upload.truncate(3000)
  await upload.append(pieces(bytes.subarray(3000)))
  assert.equal((await upload.finish()).length, 4500)
  assert.ok(bytes.equals(await gather(store.read(KEY))))
})

forEachStore('who resumes displaces who was appending, and finds all that came from them', async (open) => {
  const { store } = await open({ partBytes: 20 })
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

forEachStore(
  'a store that is full says so, keeps what it has, and takes more when room is made (F2)',
  async (open) => {
    const { store, again } = await open({ maxBytes: 1000 })
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
  },
)

forEachStore('uploads that nobody goes on with are collected after a day (F2)', async (open) => {
  const { store, clock, leftovers } = await open({ maxBytes: 1000, partBytes: 100 })
  const upload = await store.begin(KEY, 1000)
  await upload.append(pieces(patterned(900)))
  clock.set(Date.now() + ABANDONED_AFTER_MS - 60_000)
  await upload.append(pieces(patterned(1)))
  await store.collect()
  assert.ok((await leftovers()).length > 0, 'it was not left alone for long')
  clock.advance(ABANDONED_AFTER_MS)
  await store.collect()
  assert.deepEqual(await leftovers(), [])
  assert.equal(await (await store.begin(KEY, 1000, { length: 990 })).append(pieces(patterned(990))), 990)
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

forEachStore('a name that is none of ours is refused before any path is made of it (I1)', async (open) => {
  const { store, leftovers } = await open()
  for (const key of HOSTILE) {
    await assert.rejects(store.begin(key, 10), refusedAs('bad-key'), key)
    for (const ask of [store.resume(key), store.stat(key), store.open(key), store.delete(key)])
      await assert.rejects(ask, refusedAs('bad-key'), key)
    assert.throws(() => store.read(key), refusedAs('bad-key'), key)
  }
  assert.deepEqual(await leftovers(), [])
})

forEachStore('a name below a file, and a folder, are nothing that is stored', async (open) => {
  const { store } = await open()
  const upload = await store.begin('backups/dir/media/one', 10)
  await upload.append(pieces(patterned(3)))
  await upload.finish()
  for (const key of ['backups/dir/media', 'backups/dir/other/one']) {
    assert.equal(await store.stat(key), undefined)
    assert.equal(await store.open(key), undefined)
    assert.equal(await store.delete(key), 0)
  }
})

forEachStore(
  'a folder is listed by name, in pages, and deleted as a whole with what is below it',
  async (open) => {
    const { store } = await open()
    const put = async (key: string, bytes: number) => {
      const upload = await store.begin(key, bytes)
      await upload.append(pieces(patterned(bytes)))
      await upload.finish()
    }
    const names = ['Zeta', '_alpha', 'beta-2', 'alpha', 'beta']
    for (const [at, name] of names.entries()) await put(`backups/dir/${name}`, at + 1)
    await put('backups/dir/media/one', 10)
    await put('backups/dir2/other', 20)
    const sorted = ['Zeta', '_alpha', 'alpha', 'beta', 'beta-2']
    const listed = await store.list('backups/dir', '', 10)
    assert.deepEqual(
      listed,
      sorted.map((name) => ({ name, length: names.indexOf(name) + 1 })),
    )
    assert.deepEqual(await store.list('backups/dir', '', 2), listed.slice(0, 2))
    assert.deepEqual(await store.list('backups/dir', '_alpha', 2), listed.slice(2, 4))
    assert.deepEqual(await store.list('backups/none', '', 2), [])
    await store.deleteFolder('backups/dir')
    assert.deepEqual(await store.list('backups/dir', '', 10), [])
    assert.equal(await store.stat('backups/dir/media/one'), undefined)
    assert.equal((await store.stat('backups/dir2/other'))?.length, 20)
    await store.deleteFolder('backups/none')
  },
)

forEachStore('an upload that is begun again begins anew', async (open) => {
  const { store, leftovers } = await open({ partBytes: 100 })
  const first = await store.begin(KEY, 1000)
  await first.append(pieces(Buffer.alloc(350)))
  const second = await store.begin(KEY, 1000)
  assert.equal(second.offset, 0)
  await assert.rejects(first.append(pieces(patterned(1))), refusedAs('displaced'))
  await second.append(pieces(patterned(250)))
  await second.finish()
  assert.ok(patterned(250).equals(await gather(store.read(KEY))))
  assert.deepEqual(await leftovers(), [])
})
