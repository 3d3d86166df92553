import assert from 'node:assert/strict'
import { link, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { openDisk, patterned, pieces } from '../../../test/files/disk.ts'
import { objectPath } from '../object-key.ts'
import { ABANDONED_AFTER_MS } from './disk-store.ts'
import { uploadName } from './upload-record.ts'

const KEY = 'attachments/abcdefghijklmnopqrst'

test('bytes without an upload are collected after a day', async (t) => {
  const { store, clock, folder, files } = await openDisk(t)
  await writeFile(join(folder, 'uploads', 'f'.repeat(64)), 'stray')
  clock.set(Date.now() + ABANDONED_AFTER_MS - 60_000)
  await store.collect()
  assert.equal((await files()).length, 1, 'it is not old enough')
  clock.advance(120_000)
  await store.collect()
  assert.deepEqual(await files(), [])
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

test('a folder of its own is made for the store', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'helio-parent-'))
  t.after(() => rm(parent, { recursive: true }))
  await openDisk(t, { folder: join(parent, 'a', 'b') })
  assert.deepEqual((await readdir(join(parent, 'a', 'b'))).sort(), ['incoming', 'objects', 'uploads'])
})
