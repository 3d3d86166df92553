// What is special about a bucket; what every store promises is in file-store.test.ts.
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gather, patterned, pieces } from '../../../test/files/disk.ts'
import { freshAccess, onBucket, openBucket } from '../../../test/files/stores.ts'
import { FileRefusal, type FileRefusalKind, type FileStore } from '../file-store.ts'
import { ABANDONED_AFTER_MS } from './bucket-store.ts'
import { DIRECT_VALID_MS } from './direct-uploads.ts'
import type { S3Access } from './s3-access.ts'
import { bodyOf } from './s3-exchange.ts'

const KEY = 'attachments/abcdefghijklmnopqrst'
const refusedAs = (kind: FileRefusalKind) => (error: unknown) =>
  error instanceof FileRefusal && error.kind === kind

async function put(store: FileStore, key: string, bytes: Buffer, replaces = false) {
  const upload = await store.begin(key, 10_000, { replaces })
  await upload.append(pieces(bytes))
  return upload
}

function inParts(name: string, run: (access: S3Access, t: TestContext) => Promise<void>): void {
  test(name, async (t) => {
    const access = await freshAccess(true)
    if (!access) return t.skip('OpenStack Swift is not installed')
    await run(access, t)
  })
}

for (const [replaces, partBytes] of [
  [false, 100],
  [false, 10_000],
  [true, 100],
  [true, 10_000],
] as const)
  inParts(
    `killed between the bucket's yes and our own record: the object is there, the upload is not (${replaces ? 'in place of another' : 'new'}, ${partBytes})`,
    async (access, t) => {
      const key = 'backups/abcdef/messageBackup'
      const { store, folder, leftovers, bucket } = await openBucket(t, access, { partBytes })
      if (replaces) await (await put(store, key, Buffer.from('before'), true)).finish()
      const upload = await put(store, key, patterned(950), replaces)
      const asBefore = await mkdtemp(join(tmpdir(), 'helio-copy-'))
      await cp(folder, asBefore, { recursive: true })
      const stored = await upload.finish()
      const restarted = await openBucket(t, access, { partBytes, folder: asBefore })
      const found = await restarted.store.resume(key)
      assert.equal(found, undefined)
      assert.deepEqual(await restarted.store.stat(key), stored)
      assert.ok(patterned(950).equals(await gather(restarted.store.read(key))))
      assert.deepEqual(await restarted.leftovers(), [])
      assert.deepEqual(await leftovers(), [])
      assert.deepEqual(await bucket.unfinished(), [])
      assert.deepEqual(await readdir(join(asBefore, 'uploads')), [])
    },
  )

inParts(
  'of two servers on one bucket, which must not be, the later one overwrites nothing either',
  async (access, t) => {
    const [one, other] = [await openBucket(t, access), await openBucket(t, access)]
    const first = await put(one.store, KEY, patterned(500))
    const second = await put(other.store, KEY, Buffer.alloc(500))
    await first.finish()
    await assert.rejects(second.finish(), refusedAs('exists'))
    assert.ok(patterned(500).equals(await gather(other.store.read(KEY))))
    assert.deepEqual(await other.leftovers(), [])
  },
)

inParts(
  'parts that no upload of ours is of are aborted after a day, those of uploads are not',
  async (access, t) => {
    const { store, clock, bucket } = await openBucket(t, access, { partBytes: 100 })
    await put(store, KEY, patterned(350))
    await bucket.beginParts({ key: 'attachments/lost', madeBy: 'nobody', onlyNew: true })
    await store.collect()
    assert.equal((await bucket.unfinished()).length, 2)
    clock.advance(ABANDONED_AFTER_MS - 60_000)
    await (await store.resume(KEY))!.append(pieces(patterned(1)))
    clock.advance(120_000)
    await store.collect()
    assert.deepEqual(
      (await bucket.unfinished()).map(({ key }) => key),
      [KEY],
    )
  },
)

inParts('an upload whose parts the bucket gave up has to begin anew', async (access, t) => {
  const { store, bucket, leftovers } = await openBucket(t, access, { partBytes: 100 })
  const upload = await put(store, KEY, patterned(350))
  for (const { key, id } of await bucket.unfinished()) await bucket.abortParts(key, id)
  await assert.rejects(upload.finish(), refusedAs('incomplete'))
  assert.equal(await store.resume(KEY), undefined)
  assert.deepEqual(await leftovers(), [])
  await (await put(store, KEY, patterned(350))).finish()
})

inParts(
  'how full the bucket is is counted at the start: objects, parts and what is not sent yet',
  async (access, t) => {
    const { store, again, bucket, folder } = await openBucket(t, access, { partBytes: 100, maxBytes: 1000 })
    await (await put(store, KEY, patterned(300))).finish()
    await put(store, 'attachments/unfinished', patterned(250))
    await bucket.put(
      { key: 'somebody/elses', madeBy: '', onlyNew: true },
      bodyOf('x'.repeat(9000)),
      NO_DIGEST,
    )
    for (const other of [store, await again()]) {
      await assert.rejects(other.begin('attachments/other', 999, { length: 451 }), refusedAs('full'))
      await (await other.begin('attachments/other', 999, { length: 450 })).abandon()
    }
    const sent = await openBucket(t, access, { folder, maxBytes: 1000, sends: { gets: false, puts: true } })
    await sent.store.addresses.toPut('attachments/direct', 400)
    await assert.rejects(sent.store.begin('attachments/other', 999, { length: 51 }), refusedAs('full'))
    const later = await sent.again()
    await assert.rejects(later.begin('attachments/other', 999, { length: 51 }), refusedAs('full'))
    await (await later.begin('attachments/other', 999, { length: 50 })).abandon()
  },
)
/** For bodies of these tests: nobody compares. */
const NO_DIGEST = 'UNSIGNED-PAYLOAD'

onBucket(
  'what is put at the bucket too late or for nothing is removed, and its room is free again',
  async (access, t) => {
    const options = { maxBytes: 1000, sends: { gets: false, puts: true } }
    const { store, clock, bucket } = await openBucket(t, access, options)
    const incoming = async () =>
      (await Array.fromAsync(bucket.list('incoming/', { isOurs: () => true }))).map(({ length }) => length)
    const url = (await store.addresses.toPut(KEY, 600))!
    await assert.rejects(store.addresses.toPut('attachments/other', 401), refusedAs('full'))
    assert.equal((await store.addresses.toPut(KEY, 600))!.split('?')[0], url.split('?')[0], 'the same place')
    clock.advance(DIRECT_VALID_MS + 3_600_001)
    await store.collect()
    assert.ok(await store.addresses.toPut('attachments/other', 401))
    assert.equal((await fetch(url, { method: 'PUT', body: 'x'.repeat(600) })).status, 200)
    assert.equal(await store.stat(KEY), undefined, 'nobody waits for it any more')
    await store.collect()
    assert.deepEqual(await incoming(), [600])
    clock.advance(ABANDONED_AFTER_MS)
    await store.collect()
    assert.deepEqual(await incoming(), [])
  },
)

onBucket(
  'who uploads here takes the place of who was sent to the bucket, and the other way round',
  async (access, t) => {
    const { store, leftovers } = await openBucket(t, access, { sends: { gets: false, puts: true } })
    const url = (await store.addresses.toPut(KEY, 4))!
    const upload = await put(store, KEY, Buffer.from('here'))
    assert.equal((await fetch(url, { method: 'PUT', body: 'away' })).status, 200)
    assert.equal(await store.stat(KEY), undefined)
    await upload.finish()
    assert.equal(String(await gather(store.read(KEY))), 'here')
    await assert.rejects(store.addresses.toPut(KEY, 4), refusedAs('exists'))
    const other = 'attachments/other'
    const half = await put(store, other, Buffer.from('half'))
    const away = (await store.addresses.toPut(other, 4))!
    await assert.rejects(half.finish(), refusedAs('displaced'))
    assert.equal((await fetch(away, { method: 'PUT', body: 'away' })).status, 200)
    await assert.rejects(store.begin(other, 4), refusedAs('exists'), 'it is there since it came')
    assert.equal(String(await gather(store.read(other))), 'away')
    assert.deepEqual(await leftovers(), [])
  },
)

type Passing = { readonly method: string; readonly query: string; readonly condition: string | undefined }

/** Passes on what it is asked; `answers` may answer in the bucket's place, once that has answered. */
async function openBetween(
  t: TestContext,
  access: S3Access,
  answers: (passing: Passing) => 'lost' | 'held' | number | undefined,
): Promise<string> {
  const { port } = new URL(access.endpoint)
  const server = createServer((asked, answer) => {
    const { method = '', url = '', headers } = asked
    const query = (url.split('?')[1] ?? '').replace(/=[^&]*/g, '')
    const instead = answers({ method, query, condition: headers['if-none-match'] })
    const passing = request({ host: '127.0.0.1', port, method, path: url, headers }, (answered) => {
      if (instead === undefined) answered.pipe(answer.writeHead(answered.statusCode!, answered.headers))
      else
        answered.resume().once('end', () => {
          if (instead === 'lost') answer.destroy()
          else if (instead !== 'held') answer.writeHead(instead).end()
        })
    })
    // Swift sends a body with its 404 to HEAD.
    passing.on('error', () => {})
    asked.pipe(passing)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

for (const partBytes of [100, 10_000])
  inParts(
    `answers that are lost change nothing: what was done is not done twice (${partBytes})`,
    async (access, t) => {
      const lost: string[] = []
      const endpoint = await openBetween(t, access, ({ method, query }) => {
        const what = `${method} ${query}`
        if (lost.includes(what)) return undefined
        lost.push(what)
        return 'lost'
      })
      const { store, leftovers, bucket, clock } = await openBucket(t, { ...access, endpoint }, { partBytes })
      const stored = await (await put(store, KEY, patterned(450))).finish()
      assert.equal(stored.length, 450)
      assert.ok(patterned(450).equals(await gather(store.read(KEY))))
      // The one that was begun twice has parts of which nobody knows.
      clock.advance(ABANDONED_AFTER_MS + 60_000)
      await store.collect()
      assert.deepEqual(await leftovers(), [])
      assert.equal(await store.delete(KEY), 450)
      assert.equal(await bucket.find(KEY), undefined)
      const methods =
        partBytes === 100 ? ['HEAD', 'POST', 'PUT', 'GET', 'DELETE'] : ['HEAD', 'PUT', 'GET', 'DELETE']
      for (const method of methods)
        assert.ok(
          lost.some((what) => what.startsWith(method)),
          method,
        )
    },
  )

onBucket('the place of a folder is made where there is none', async (access, t) => {
  const parent = await mkdtemp(join(tmpdir(), 'helio-parent-'))
  t.after(() => rm(parent, { recursive: true, force: true }))
  await openBucket(t, access, { folder: join(parent, 'a', 'b') })
  assert.deepEqual((await readdir(join(parent, 'a', 'b'))).sort(), ['direct', 'uploads'])
})

onBucket(
  'a bucket is asked to overwrite nothing, until it says that it does not know how',
  async (access, t) => {
    const conditions: (string | undefined)[] = []
    const endpoint = await openBetween(t, access, ({ method, condition }) => {
      if (method === 'PUT') conditions.push(condition)
      return undefined
    })
    const { store } = await openBucket(t, { ...access, endpoint })
    for (const key of [KEY, 'attachments/other']) await (await put(store, key, patterned(10))).finish()
    assert.deepEqual(conditions, ['*', undefined, undefined])
  },
)

onBucket('what a bucket refuses to overwrite is there already, and the upload is gone', async (access, t) => {
  const endpoint = await openBetween(t, access, ({ method, condition }) =>
    method === 'PUT' && condition === '*' ? 412 : undefined,
  )
  const { store, leftovers } = await openBucket(t, { ...access, endpoint })
  await assert.rejects((await put(store, KEY, patterned(10))).finish(), refusedAs('exists'))
  assert.deepEqual(await leftovers(), [])
})

onBucket('of what is put at the bucket only the length that was said is taken', async (access, t) => {
  const { store, bucket } = await openBucket(t, access, { sends: { gets: false, puts: true } })
  const url = (await store.addresses.toPut(KEY, 5))!
  const place = new URL(url).pathname.split('/').slice(2).join('/')
  const come = (text: string) =>
    bucket.put(
      { key: place, madeBy: 'a bucket that compares no lengths', onlyNew: false },
      bodyOf(text),
      NO_DIGEST,
    )
  await come('longer')
  assert.equal(await store.stat(KEY), undefined)
  await come('right')
  assert.equal((await store.stat(KEY))?.length, 5)
})

onBucket('an object is there although every answer to its PUT was lost', async (access, t) => {
  const endpoint = await openBetween(t, access, ({ method, condition }) =>
    method === 'PUT' && condition === undefined ? 'lost' : undefined,
  )
  const { store, leftovers } = await openBucket(t, { ...access, endpoint })
  const stored = await (await put(store, KEY, patterned(10))).finish()
  assert.deepEqual(await store.stat(KEY), stored)
  assert.deepEqual(await leftovers(), [])
})

inParts(
  'who resumes does not wait for a part on its way to the bucket, and loses nothing of it',
  async (access, t) => {
    const sending = Promise.withResolvers<void>()
    let holds = true
    const endpoint = await openBetween(t, access, ({ query }) => {
      if (!holds || !query.startsWith('partNumber')) return undefined
      sending.resolve()
      return 'held'
    })
    const { store } = await openBucket(t, { ...access, endpoint }, { partBytes: 100 })
    const upload = await store.begin(KEY, 1000)
    const appending = upload.append(pieces(patterned(250)))
    await sending.promise
    holds = false
    const later = await store.resume(KEY)
    assert.equal(await appending, 250, 'all of it had come')
    assert.equal(later?.offset, 250)
    await later.append(pieces(patterned(250, 250)))
    await later.finish()
    assert.ok(patterned(500).equals(await gather(store.read(KEY))))
  },
)
