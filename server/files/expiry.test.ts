import assert from 'node:assert/strict'
import { appendFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openDisk, patterned, pieces } from '../../test/files/disk.ts'
import { DAY_MS } from '../kit/days.ts'
import { DiskStore, INCOMING } from './disk/disk-store.ts'
import { Expiry } from './expiry.ts'
import { FileRefusal } from './file-store.ts'

const DAYS = 45
const BYTES = patterned(10)

async function open(t: TestContext) {
  const { store: bare, clock, folder } = await openDisk(t)
  const path = join(folder, 'expiry')
  const start = async () => {
    const expiries: Expiry[] = []
    const remember = async (key: string) => expiries[0]?.remember(key)
    const store = await DiskStore.open({ folder, clock, remember })
    const expiry = await Expiry.open({
      folder: path,
      store,
      clock,
      days: DAYS,
      existing: store.attachments(),
    })
    expiries.push(expiry)
    const put = async (key: string) => {
      const upload = await store.begin(key, 100)
      await upload.append(pieces(BYTES))
      await upload.finish()
    }
    const isThere = async (key: string) => (await store.stat(key)) !== undefined
    return { store, expiry, put, isThere }
  }
  return { clock, folder, path, bare, start, days: () => readdir(path) }
}

test('an attachment is kept for its days, is gone a day later, and nothing else goes with it', async (t) => {
  const { clock, start, days } = await open(t)
  const { expiry, put, isThere } = await start()
  const others = ['profiles/avatar', 'groups/a/b', 'backups/dir/messageBackup']
  for (const key of ['attachments/first', ...others]) await put(key)
  clock.advance(3 * DAY_MS)
  await put('attachments/second')
  clock.advance((DAYS - 3) * DAY_MS - 1)
  await expiry.sweep()
  assert.ok(await isThere('attachments/first'))
  clock.advance(DAY_MS + 1)
  await expiry.sweep()
  assert.ok(!(await isThere('attachments/first')))
  for (const key of ['attachments/second', ...others]) assert.ok(await isThere(key), key)
  assert.equal((await days()).length, 1, 'of a day that is over nothing is kept')
  clock.advance(3 * DAY_MS)
  await expiry.sweep()
  assert.ok(!(await isThere('attachments/second')))
  assert.deepEqual(await days(), [])
})

test('what came through nginx expires too', async (t) => {
  const { clock, folder, start } = await open(t)
  const { store, expiry, isThere } = await start()
  await writeFile(join(folder, INCOMING, '0000000001'), BYTES)
  await store.enter('attachments/through-nginx', '0000000001', 100)
  clock.advance(DAYS * DAY_MS - 1)
  await expiry.sweep()
  assert.ok(await isThere('attachments/through-nginx'))
  clock.advance(DAY_MS + 1)
  await expiry.sweep()
  assert.ok(!(await isThere('attachments/through-nginx')))
})

test('a sweep looks at nothing that is not due, however much there is', async (t) => {
  const { clock, path, start } = await open(t)
  const { put } = await start()
  await put('attachments/due')
  clock.advance(DAY_MS)
  for (let count = 0; count < 50; count++) await put(`attachments/young-${count}`)
  clock.advance(DAYS * DAY_MS)
  const asked: string[] = []
  const store = {
    stat: async (key: string) => void asked.push(key),
    delete: async () => 0,
  }
  await (await Expiry.open({ folder: path, store, clock, days: DAYS })).sweep()
  assert.deepEqual(asked, ['attachments/due'])
})

test('what was begun on one day and finished on a later one lives from its end', async (t) => {
  const { clock, start } = await open(t)
  const { store, expiry, isThere } = await start()
  const upload = await store.begin('attachments/slow', 100)
  await upload.append(pieces(BYTES))
  clock.advance(2 * DAY_MS)
  await upload.append(pieces(BYTES))
  await upload.finish()
  clock.advance((DAYS - 1) * DAY_MS)
  await expiry.sweep()
  assert.ok(await isThere('attachments/slow'))
  clock.advance(2 * DAY_MS)
  await expiry.sweep()
  assert.ok(!(await isThere('attachments/slow')))
})

test('what was there before there were days is found at the first start, and after a crash in the middle of it', async (t) => {
  const { clock, path, bare, start, days } = await open(t)
  for (let count = 0; count < 30; count++) {
    const upload = await bare.begin(`attachments/old-${count}`, 100)
    await upload.append(pieces(BYTES))
    await upload.finish()
    if (count % 10 === 9) clock.advance(DAY_MS)
  }
  const failing = async function* () {
    yield { key: 'attachments/old-1', storedAtMs: clock.nowMs() }
    throw new Error('as if it had been killed')
  }
  const interrupted = { folder: path, store: bare, clock, days: DAYS, existing: failing() }
  await assert.rejects(Expiry.open(interrupted), /killed/)
  const { expiry, isThere } = await start()
  assert.equal((await days()).length, 3)
  clock.advance((DAYS - 2) * DAY_MS)
  await expiry.sweep()
  const left = await Promise.all(
    Array.from({ length: 30 }, (_, index) => isThere(`attachments/old-${index}`)),
  )
  assert.deepEqual(
    left.map((isLeft) => (isLeft ? 1 : 0)).join(''),
    '0'.repeat(10) + '1'.repeat(20),
    'those of the first day are gone',
  )
})

test('a sweep that breaks off is done again; half a line and names that are none of ours do no harm', async (t) => {
  const { clock, path, start, days } = await open(t)
  const { put, isThere } = await start()
  for (const key of ['attachments/one', 'attachments/two']) await put(key)
  await put('profiles/avatar')
  const [day] = await days()
  await appendFile(join(path, day!), 'attachments/../../secrets\nprofiles/avatar\nattachments/tw')
  await put('attachments/three')
  clock.advance((DAYS + 1) * DAY_MS)
  const again = await start()
  await put('attachments/four')
  const closing = new AbortController()
  closing.abort()
  await again.expiry.sweep(closing.signal)
  assert.ok(await isThere('attachments/one'), 'a server that stops does not wait for it')
  await again.expiry.sweep()
  for (const key of ['one', 'two', 'three']) assert.ok(!(await isThere(`attachments/${key}`)), key)
  for (const key of ['attachments/four', 'profiles/avatar']) assert.ok(await isThere(key))
})

test('a name is on disk before its upload begins, once however often it is begun; without room for it there is no upload', async (t) => {
  const { path, start, days } = await open(t)
  const { store } = await start()
  await Promise.all(Array.from({ length: 20 }, (_, index) => store.begin(`attachments/name-${index}`, 100)))
  for (let count = 0; count < 5; count++) await store.begin('attachments/name-0', 100)
  const [day] = await days()
  const lines = (await readFile(join(path, day!), 'utf8')).split('\n').filter(Boolean)
  assert.deepEqual(lines.sort(), Array.from({ length: 20 }, (_, index) => `attachments/name-${index}`).sort())
  assert.equal((await stat(join(path, day!))).mode & 0o777, 0o600)
  await rm(path, { recursive: true })
  await assert.rejects(store.begin('attachments/other', 100))
  const full = async () => {
    throw new FileRefusal('full')
  }
  const { clock, folder } = await openDisk(t)
  const other = await DiskStore.open({ folder, clock, remember: full })
  await assert.rejects(other.begin('attachments/x', 100), { kind: 'full' })
})
