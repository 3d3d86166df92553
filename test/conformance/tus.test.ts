// Attachments by the protocol of CDN 3: libsignal's forms, TUS 1.0.0, and downloads (signal-api §2.18).
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { ABANDONED_AFTER_MS } from '../../server/files/disk/disk-store.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { type UploadClaims, UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS, type HttpVersion } from '../client/net.ts'
import { SignalClient } from '../client/signal-client.ts'
import { type Form, formOf, TusClient } from '../client/tus.ts'
import { Constellation } from '../constellation.ts'

const KIB64 = 65_536
let server: Constellation
let client: SignalClient
before(async () => {
  server = await Constellation.open()
  client = await SignalClient.create(server, { oneTimeKeys: 0 })
})
after(async () => {
  await client[Symbol.asyncDispose]()
  await server.close()
})

const newForm = async (bytes: number): Promise<Form> =>
  formOf(await client.link.auth.getUploadForm({ uploadSize: BigInt(bytes) }))
const open = (form: Form, httpVersion: HttpVersion = 2) => new TusClient(server.ready, httpVersion, form)
const opened = async (bytes: number, httpVersion: HttpVersion = 2) => {
  const form = await newForm(bytes)
  return { form, tus: open(form, httpVersion) }
}
const download = async (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') => {
  await using https = Https.open(server.ready, 2, 'cdn3')
  return await https.call(method, path, { headers })
}
const uploaded = async (bytes: Buffer): Promise<Form> => {
  const { form, tus } = await opened(bytes.length)
  assert.equal((await tus.createWith(bytes)).status, 201)
  return form
}
const sha256 = (bytes: Uint8Array) => `sha256 ${createHash('sha256').update(bytes).digest('base64')}`

for (const httpVersion of HTTP_VERSIONS)
  describe(`uploads over HTTP/${httpVersion}`, () => {
    for (const length of [1, KIB64 - 1, KIB64, KIB64 + 1, 100_000_000])
      test(`an upload of ${length} bytes that breaks at a random byte is resumed, and is what comes back`, async () => {
        const bytes = randomBytes(length)
        const { form, tus } = await opened(length, httpVersion)
        const created = await tus.create({ 'upload-length': String(length) })
        assert.equal(created.status, 201)
        assert.equal(created.headers['location'], `${server.ready.urls.cdn3}/upload/attachments/${form.key}`)
        assert.equal(created.headers['tus-resumable'], '1.0.0')
        await tus.lose(0, bytes, randomInt(length))
        assert.equal((await download(`/cdn3/attachments/${form.key}`)).status, 404, 'half a file is none')
        const offset = await tus.offset()
        assert.ok(offset < length)
        const done = await tus.append(offset, [bytes.subarray(offset)])
        assert.deepEqual([done.status, done.headers['upload-offset']], [204, String(length)])
        const { status, body } = await download(`/cdn3/attachments/${form.key}`)
        assert.equal(status, 200)
        assert.ok(bytes.equals(body))
        assert.equal(await tus.offset(), length, 'it can still be asked about')
      })

    test('a length that is told later, as signal-cli does it with the prefix of the address doubled', async () => {
      const bytes = randomBytes(5000)
      const { form, tus } = await opened(bytes.length, httpVersion)
      const doubled = open({ ...form, location: form.location.replace('/cdn3/', '/cdn3/cdn3/') }, httpVersion)
      assert.equal((await doubled.create({ 'upload-defer-length': '1' })).status, 201)
      const told = await doubled.tell()
      assert.deepEqual(
        [told.headers['upload-offset'], told.headers['upload-defer-length'], told.headers['upload-length']],
        ['0', '1', undefined],
      )
      assert.equal((await doubled.append(0, [bytes], { 'upload-length': '5000' })).status, 204)
      assert.equal(tus.location, '')
      assert.ok(bytes.equals((await download(`/cdn3/attachments/${form.key}`)).body))
    })

    test('a file that comes with its creation is there at once', async () => {
      const bytes = randomBytes(300_000)
      const { form, tus } = await opened(bytes.length, httpVersion)
      const created = await tus.createWith(bytes)
      assert.deepEqual([created.status, created.headers['upload-offset']], [201, String(bytes.length)])
      assert.ok(bytes.equals((await download(`/cdn3/attachments/${form.key}`)).body))
    })
  })

test('nothing that is complete is written again (F1)', async () => {
  const bytes = randomBytes(100)
  const form = await uploaded(bytes)
  const again = open(form)
  assert.equal((await again.createWith(randomBytes(100))).status, 409)
  again.location = `${form.location}/${form.key}`
  for (const offset of [0, 50, 100])
    assert.equal((await again.append(offset, [randomBytes(10)])).status, 409, String(offset))
  assert.ok(bytes.equals((await download(`/cdn3/attachments/${form.key}`)).body))
})

test('an upload that is created anew begins at its beginning', async () => {
  const bytes = randomBytes(1000)
  const { form, tus } = await opened(bytes.length)
  await tus.create({ 'upload-length': '1000' })
  await tus.append(0, [randomBytes(700)])
  assert.equal((await tus.createWith(bytes)).status, 201)
  assert.ok(bytes.equals((await download(`/cdn3/attachments/${form.key}`)).body))
})

test('lies about the offset are 409, and nothing of them is kept (F1)', async () => {
  const { tus } = await opened(100)
  await tus.create({ 'upload-length': '100' })
  assert.equal((await tus.append(0, [randomBytes(40)])).status, 204)
  for (const offset of [0, 39, 41, 100, 101, 999_999_999])
    assert.equal((await tus.append(offset, [randomBytes(10)])).status, 409)
  for (const lie of ['-1', '1e1', '4_0', ' ', '40, 40'])
    assert.equal((await tus.append(0, [randomBytes(1)], { 'upload-offset': lie })).status, 400, lie)
  assert.equal(await tus.offset(), 40)
})

test('lengths that are nothing, too much or another than before are refused (F1)', async () => {
  const { tus } = await opened(100)
  const lengths = [{ 'upload-length': '0' }, {}, { 'upload-defer-length': '2' }, { 'upload-length': 'x' }]
  for (const headers of lengths)
    assert.equal((await tus.create(headers)).status, 400, JSON.stringify(headers))
  assert.equal((await tus.create({ 'upload-length': '5', 'upload-defer-length': '1' })).status, 400)
  assert.equal((await tus.create({ 'upload-length': '101' })).status, 413)
  assert.equal((await tus.createWith(randomBytes(101))).status, 413)
  assert.equal((await tus.create({ 'upload-defer-length': '1' })).status, 201)
  assert.equal((await tus.append(0, [], { 'upload-length': '0' })).status, 400)
  assert.equal((await tus.append(0, [], { 'upload-length': '101' })).status, 413)
  assert.equal((await tus.append(0, [randomBytes(60)])).status, 204)
  assert.equal((await tus.append(60, [], { 'upload-length': '59' })).status, 413)
  assert.equal((await tus.append(60, [], { 'upload-length': '90' })).status, 204)
  assert.equal((await tus.append(60, [], { 'upload-length': '91' })).status, 400)
  assert.equal((await tus.append(60, [randomBytes(31)])).status, 413)
})

test('a body that is longer than it said, or says nothing, is stopped at what is allowed (F1)', async () => {
  const { form, tus } = await opened(100, 1)
  await tus.create({ 'upload-length': '100' })
  assert.equal((await tus.append(0, [randomBytes(200)])).status, 413)
  assert.equal((await tus.append(await tus.offset(), [randomBytes(99), randomBytes(99)])).status, 413)
  assert.equal((await download(`/cdn3/attachments/${form.key}`)).status, 404)
})

test('a token is good for its own name, audience and length only (F1)', async () => {
  const [mine, theirs] = [await newForm(100), await newForm(100)]
  const metadata = 'Upload-Metadata'
  const named = (headers: Readonly<Record<string, string>>) => open({ ...mine, headers })
  const values = Object.fromEntries(Object.entries(mine.headers).map(([k, v]) => [k.toLowerCase(), v]))
  const other = Object.entries(theirs.headers).find(
    ([name]) => name.toLowerCase() === metadata.toLowerCase(),
  )![1]
  const length = { 'upload-length': '100' }
  const statusOf = async (headers: Readonly<Record<string, string>>) =>
    (await named(headers).create(length)).status
  assert.equal(await statusOf({ ...values, 'upload-metadata': other }), 403)
  assert.equal(await statusOf({ 'upload-metadata': values['upload-metadata']! }), 401)
  assert.equal(await statusOf({ ...values, authorization: 'Basic eDp5' }), 401)
  assert.equal(
    await statusOf({ ...values, authorization: `${values['authorization']!.slice(0, -8)}AAAAAAAA` }),
    403,
  )
  assert.equal(await statusOf({ authorization: values['authorization']! }), 400)
  const backup = open({ ...mine, location: mine.location.replace('/attachments', '/backups') })
  assert.equal((await backup.create(length)).status, 403)
  await open(theirs).create(length)
  const foreign = open(mine)
  foreign.location = `${theirs.location}/${theirs.key}`
  assert.equal((await foreign.tell()).status, 403)
  assert.equal((await foreign.append(0, [randomBytes(1)])).status, 403)
})

test("a backup is replaced whole, and read with its folder's token only", async () => {
  const signatures = new UploadSignatures((await server.secrets()).uploads, systemClock)
  const [folder, subject] = ['folder-of-one', 'folder-of-one/messageBackup']
  const bearer = (claims: UploadClaims) => ({ authorization: `Bearer ${signatures.token(claims)}` })
  const headers = {
    ...bearer({ audience: 'backups', scope: 'write', subject, maxBytes: 1000 }),
    'upload-metadata': `filename ${Buffer.from(subject).toString('base64')}`,
  }
  const tus = open({ key: subject, headers, location: `${server.ready.urls.cdn3}/upload/backups` })
  const path = `/cdn3/backups/${subject}`
  const read = bearer({ audience: 'backups', scope: 'read', subject: folder })
  const [first, second] = [randomBytes(900), randomBytes(1000)]
  assert.equal((await tus.createWith(first)).status, 201)
  assert.ok(first.equals((await download(path, read)).body))
  assert.equal((await tus.create({ 'upload-length': '1000' })).status, 201)
  assert.equal((await tus.append(0, [second.subarray(0, 600)])).status, 204)
  assert.ok(first.equals((await download(path, read)).body), 'the one before stays until the end')
  assert.equal((await tus.append(600, [second.subarray(600)])).status, 204)
  const answer = await download(path, read)
  assert.ok(second.equals(answer.body))
  assert.equal(answer.headers['cache-control'], 'private, no-store')
  const refusals: readonly (readonly [Readonly<Record<string, string>>, number])[] = [
    [{}, 401],
    [headers, 403],
    [bearer({ audience: 'backups', scope: 'read', subject: 'folder-of-on' }), 403],
    [bearer({ audience: 'backups', scope: 'read', subject: 'another' }), 403],
    [bearer({ audience: 'attachments', subject: folder, maxBytes: 1 }), 403],
  ]
  for (const [as, status] of refusals) assert.equal((await download(path, as)).status, status)
})

test('what is not TUS 1.0.0 is told so', async () => {
  const { form, tus } = await opened(100)
  const version = await tus.create({ 'upload-length': '100', 'tus-resumable': '0.2.2' })
  assert.deepEqual([version.status, version.headers['tus-version']], [412, '1.0.0'])
  const typed = { 'upload-length': '100', 'content-type': 'text/html' }
  assert.equal((await tus.create(typed, [randomBytes(100)])).status, 415)
  await tus.create({ 'upload-length': '100' })
  assert.equal((await tus.append(0, [randomBytes(1)], { 'content-type': 'text/plain' })).status, 415)
  const about = await download('/cdn3/upload/attachments', {}, 'OPTIONS')
  assert.deepEqual([about.status, about.headers['tus-version']], [204, '1.0.0'])
  assert.match(about.headers['tus-extension']!, /creation-with-upload/)
  assert.equal((await download('/cdn3/upload/attachments')).status, 405)
  assert.equal((await download(`/cdn3/upload/attachments/${form.key}`, {}, 'DELETE')).status, 405)
  tus.location = `${form.location}/${form.key}`
  const none = open(await newForm(5))
  none.location = `${form.location}/${form.key}`
  assert.equal((await none.tell()).status, 403)
})

test('a checksum is kept to: of a part when it is sent, of the whole when that is created', async () => {
  const bytes = randomBytes(1000)
  const { form, tus } = await opened(1000)
  await tus.create({ 'upload-length': '1000', 'upload-checksum': sha256(bytes) })
  const half = bytes.subarray(0, 500)
  assert.equal((await tus.append(0, [half], { 'upload-checksum': sha256(bytes) })).status, 460)
  assert.equal(await tus.offset(), 0, 'what is wrong is not kept')
  assert.equal((await tus.append(0, [half], { 'upload-checksum': 'md5 AAAA' })).status, 400)
  assert.equal((await tus.append(0, [half], { 'upload-checksum': sha256(half) })).status, 204)
  assert.equal((await tus.append(500, [bytes.subarray(500)])).status, 204)
  assert.ok(bytes.equals((await download(`/cdn3/attachments/${form.key}`)).body))
  const wrong = await opened(1000)
  await wrong.tus.create({ 'upload-length': '1000', 'upload-checksum': sha256(half) })
  assert.equal((await wrong.tus.append(0, [bytes])).status, 460)
  assert.equal((await wrong.tus.tell()).status, 404)
})

test('a download cannot be taken for anything but bytes, and never grows old', async () => {
  const bytes = randomBytes(1000)
  const { key } = await uploaded(bytes)
  for (const method of ['GET', 'HEAD']) {
    const { status, headers, body } = await download(`/cdn3/attachments/${key}`, {}, method)
    assert.equal(status, 200)
    assert.equal(headers['content-type'], 'application/octet-stream')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['cross-origin-resource-policy'], 'cross-origin')
    assert.equal(headers['content-disposition'], 'attachment')
    assert.match(headers['cache-control']!, /immutable/)
    assert.equal(headers['content-length'], '1000')
    assert.equal(body.length, method === 'GET' ? 1000 : 0)
  }
})

test('one range is a part, several are the whole, and none is 416 (F1)', async () => {
  const bytes = randomBytes(1000)
  const path = `/cdn3/attachments/${(await uploaded(bytes)).key}`
  const ask = (range: string, more = {}) => download(path, { range, ...more })
  const parts: readonly (readonly [string, number, number])[] = [
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=990-', 990, 1000],
    ['bytes=990-5000', 990, 1000],
    ['bytes=-7', 993, 1000],
    ['bytes=-5000', 0, 1000],
  ]
  for (const [range, from, to] of parts) {
    const { status, headers, body } = await ask(range)
    assert.deepEqual([status, headers['content-range']], [206, `bytes ${from}-${to - 1}/1000`], range)
    assert.ok(bytes.subarray(from, to).equals(body), range)
  }
  for (const range of ['bytes=0-1,5-6', 'lines=0-1', 'bytes=-', 'bytes=a-b', 'bytes=0x1-2', '']) {
    const { status, body } = await ask(range)
    assert.deepEqual([status, body.length], [200, 1000], range)
  }
  for (const range of ['bytes=1000-', 'bytes=1000-1001', 'bytes=9-3', 'bytes=-0', 'bytes=999999999999999-']) {
    const { status, headers } = await ask(range)
    assert.deepEqual([status, headers['content-range']], [416, 'bytes */1000'], range)
  }
  const { etag } = (await download(path)).headers
  assert.equal((await ask('bytes=0-0', { 'if-range': etag })).status, 206)
  assert.equal((await ask('bytes=0-0', { 'if-range': '"another"' })).status, 200)
})

test('who has a file already is told that it did not change', async () => {
  const path = `/cdn3/attachments/${(await uploaded(randomBytes(10))).key}`
  const { etag } = (await download(path)).headers
  const known = (value: string) => download(path, { 'if-none-match': value })
  for (const value of [etag!, `W/${etag}`, `"other", ${etag}`, '*'])
    assert.deepEqual([(await known(value)).status, (await known(value)).body.length], [304, 0])
  assert.equal((await known('"other"')).status, 200)
})

test('paths that are no names find nothing, with and without what clients put in front (I1)', async () => {
  const { key } = await uploaded(randomBytes(10))
  for (const prefix of ['', '/cdn0', '/cdn2', '/cdn3', '/cdn3/cdn3'])
    assert.equal((await download(`${prefix}/attachments/${key}`)).status, 200, prefix)
  const hostile = [
    '/attachments/..%2f..%2fsecrets%2fkeys.json',
    '/attachments/%2e%2e/x',
    '/attachments/%252e%252e%252fx',
    `/attachments/${key}%00`,
    `/attachments/${key}/`,
    `/attachments/./${key}`,
    `/attachments//${key}`,
    '/attachments/../../secrets/keys.json',
    `/profiles/../attachments/${key}`,
    `/stickers/${'0'.repeat(32)}/full/../manifest.proto`,
    '/attachments/',
    '/groups/x',
  ]
  for (const path of hostile) assert.equal((await download(`/cdn3${path}`)).status, 404, path)
})

test('an upload that nobody goes on with expires at the moment that its creation says', async () => {
  const { tus } = await opened(100)
  const { headers } = await tus.create({ 'upload-length': '100' })
  const inMs = Date.parse(headers['upload-expires']!) - Date.now()
  assert.ok(Math.abs(inMs - ABANDONED_AFTER_MS) < 60_000)
})
