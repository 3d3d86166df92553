import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { answered, fileRequest, openFilesRules, UPLOAD_KEYS } from '../../test/files/rules.ts'
import { plainAddress, plainKey } from '../kit/plain-addresses.ts'
import { UploadKeyRing } from '../kit/upload-keys.ts'
import { ABANDONED_AFTER_MS, DiskStore, INCOMING } from './disk/disk-store.ts'
import { BODY_FILE, HandedOver, SECONDS_AGO } from './handed-over.ts'

async function open(t: TestContext, maxBytes?: number) {
  const rules = await openFilesRules()
  t.after(() => rules[Symbol.asyncDispose]())
  const { folder, clock, events } = rules
  const store = await DiskStore.open({ folder, clock, maxBytes })
  const handedOver = new HandedOver({ store, keys: UploadKeyRing.of(UPLOAD_KEYS), clock, events })
  const incoming = join(folder, INCOMING)
  let files = 0
  return {
    ...{ ...rules, store, incoming },
    sign: (name: string, maxBytes = 1000, seconds = 600) =>
      plainAddress(plainKey(UPLOAD_KEYS.bearerKey), {
        ...{ name, maxBytes, expiresAtS: Math.floor(clock.nowMs() / 1000) + seconds },
      }),
    /** As nginx does: a file, and then a request that names it. */
    async put(address: string, content = 'content', headers: Record<string, string> = {}, method = 'PUT') {
      const path = join(incoming, String(++files).padStart(10, '0'))
      await writeFile(path, content, { mode: 0o600 })
      const all = { [BODY_FILE]: path, [SECONDS_AGO]: '0.000', ...headers }
      return answered(handedOver.answer(fileRequest(method, address, { headers: all })))
    },
  }
}

test('a file that nginx took becomes an object, once, and stays nginx’s to remove', async (t) => {
  const { put, sign, textOf, incoming, store, clock, counters } = await open(t)
  const { status, headers } = await put(sign('object-1'))
  assert.equal(status, 201)
  assert.equal(await textOf('attachments/object-1'), 'content')
  const stored = await store.stat('attachments/object-1')
  assert.equal(headers['ETag'], stored?.etag)
  assert.equal(stored?.storedAtMs, clock.nowMs())
  assert.equal(counters.snapshot()['files.uploaded'], 1)
  assert.equal((await put(sign('object-1', 999), 'other')).status, 409)
  assert.equal(await textOf('attachments/object-1'), 'content')
  assert.equal((await readdir(incoming)).length, 2)
})

test('the address is checked again, as of when the request came', async (t) => {
  const { put, sign, clock, textOf } = await open(t)
  const address = sign('object-1', 1000, 60)
  assert.equal((await put(address.replace('l=1000', 'l=1001'))).status, 403)
  assert.equal((await put(address, 'content', {}, 'POST')).status, 403)
  const [, e, l] = /e=(\d+)&l=(\d+)/.exec(address)!
  const posted = ['heliograph-plain-upload-1', 'POST', 'object-1', e, l].join('\n')
  const signature = createHmac('sha256', plainKey(UPLOAD_KEYS.bearerKey)).update(posted).digest('base64url')
  assert.equal((await put(`/plain/object-1?e=${e}&l=${l}&s=${signature}`, 'content', {}, 'POST')).status, 403)
  clock.advance(90_000)
  assert.equal((await put(address)).status, 403)
  assert.equal((await put(address, 'content', { [SECONDS_AGO]: '29.999' })).status, 403)
  assert.equal(await textOf('attachments/object-1'), undefined)
  assert.equal((await put(address, 'content', { [SECONDS_AGO]: '31.500' })).status, 201)
})

test('what is empty, too long or does not fit is no object, and takes no room', async (t) => {
  const { put, sign, textOf } = await open(t, 20)
  assert.equal((await put(sign('object-1'), '')).status, 409)
  assert.equal((await put(sign('object-1', 6))).status, 413)
  assert.equal((await put(sign('object-1'), 'x'.repeat(21))).status, 507)
  assert.equal(await textOf('attachments/object-1'), undefined)
  assert.equal((await put(sign('object-1'), 'x'.repeat(15))).status, 201)
  assert.equal((await put(sign('object-1'), 'x'.repeat(5))).status, 409)
  assert.equal((await put(sign('object-2'), 'x'.repeat(6))).status, 507)
  assert.equal((await put(sign('object-2'), 'x'.repeat(5))).status, 201, 'what was refused took no room')
})

test('only files of nginx’s own folder are taken, by their own names', async (t) => {
  const { put, sign, incoming, folder, textOf } = await open(t)
  const secret = join(folder, 'secret')
  await writeFile(secret, 'secret')
  await symlink(secret, join(incoming, '9999999999'))
  for (const file of [
    '',
    '.',
    '../secret',
    'secret',
    secret,
    '1',
    '/0000000001/..',
    '0000000001x',
    'x0000000001',
  ])
    assert.equal((await put(sign('object-1'), 'content', { [BODY_FILE]: file })).status, 400, file)
  for (const seconds of ['', '-1', '1e9', 'NaN', '9999999999'])
    assert.equal((await put(sign('object-1'), 'content', { [SECONDS_AGO]: seconds })).status, 400, seconds)
  await assert.rejects(
    put(sign('object-1'), 'content', { [BODY_FILE]: join(incoming, '9999999999') }),
    /ELOOP/,
  )
  const gone = { [BODY_FILE]: join(incoming, '0000000077') }
  assert.equal(
    (await put(sign('object-1'), 'content', gone)).status,
    409,
    'its client hung up, and nginx removed it',
  )
  assert.equal(await textOf('attachments/object-1'), undefined)
})

test('what nginx left when it was killed is collected after a day, and counts for nothing meanwhile', async (t) => {
  const { put, sign, incoming, folder, clock } = await open(t)
  await put(sign('object-1'), '1234567890')
  const store = await DiskStore.open({ folder, clock, maxBytes: 25 })
  const upload = await store.begin('attachments/object-2', 15)
  assert.ok(upload, 'ten bytes are used, not twenty')
  await upload.abandon()
  await store.collect()
  assert.equal((await readdir(incoming)).length, 1)
  clock.advance(ABANDONED_AFTER_MS)
  await store.collect()
  assert.deepEqual(await readdir(incoming), [])
  assert.ok(await store.stat('attachments/object-1'))
})
