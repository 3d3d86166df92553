// The ways of clients into a file store whose files are in a bucket (docs/protocol/files-bucket.md).
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { S3Client } from '../../server/files/bucket/s3-client.ts'
import { bodyOf } from '../../server/files/bucket/s3-exchange.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { fullProfile, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { formOf, TusClient } from '../client/tus.ts'
import { Constellation } from '../constellation.ts'
import { bucketConfig } from '../files/bucket-config.ts'
import { FORM_TYPE, formBody, formFields } from '../files/post-form.ts'
import { onBucket } from '../files/stores.ts'

const MIB = 1024 * 1024
const KIB64 = 65_536

onBucket("libsignal's forms, TUS that breaks at random bytes, and downloads", async (access) => {
  await using server = await Constellation.open({ config: { files: bucketConfig(access) } })
  await using client = await SignalClient.create(server, { oneTimeKeys: 0 })
  await using https = Https.open(server.ready, 2, 'cdn3')
  for (const length of [1, KIB64 - 1, KIB64, KIB64 + 1, 5 * MIB, 12 * MIB + 1])
    for (const httpVersion of HTTP_VERSIONS) {
      const bytes = randomBytes(length)
      const form = formOf(await client.link.auth.getUploadForm({ uploadSize: BigInt(length) }))
      const tus = new TusClient(server.ready, httpVersion, form)
      const digest = createHash('sha256').update(bytes).digest('base64')
      const about = { 'upload-length': String(length), 'upload-checksum': `sha256 ${digest}` }
      assert.equal((await tus.create(about)).status, 201)
      for (let breaks = 0; breaks < 3; breaks++) {
        const offset = await tus.offset()
        await tus.lose(offset, bytes.subarray(offset), randomInt(length - offset))
        assert.equal((await https.call('GET', `/cdn3/attachments/${form.key}`)).status, 404)
      }
      const offset = await tus.offset()
      const done = await tus.append(offset, [bytes.subarray(offset)])
      assert.deepEqual([done.status, done.headers['upload-offset']], [204, String(length)])
      const { status, body, headers } = await https.call('GET', `/cdn3/attachments/${form.key}`)
      assert.equal(status, 200)
      assert.ok(bytes.equals(body), `${length} bytes over HTTP/${httpVersion}`)
      assert.equal(headers['content-type'], 'application/octet-stream')
      const again = { 'if-none-match': headers['etag']! }
      assert.equal((await https.call('GET', `/cdn3/attachments/${form.key}`, { headers: again })).status, 304)
      const range = { range: `bytes=${length - 1}-` }
      const part = await https.call('GET', `/cdn3/attachments/${form.key}`, { headers: range })
      assert.equal(part.status, 206)
      assert.ok(bytes.subarray(-1).equals(part.body))
      assert.equal((await tus.createWith(randomBytes(1))).status, 409, 'nothing is overwritten')
    }
})

onBucket("signal-cli's flow of CDN 2: the question, parts, and the end", async (access) => {
  await using server = await Constellation.open({ config: { files: bucketConfig(access) } })
  await using https = Https.open(server.ready, 1, 'cdn2')
  const signatures = new UploadSignatures((await server.secrets()).uploads, systemClock)
  const bytes = randomBytes(11 * MIB)
  const path = `/attachments/${randomBytes(15).toString('base64url')}`
  const query = signatures.addressQuery({ method: 'POST', path, maxBytes: bytes.length })
  const headers = {
    'x-goog-resumable': 'start',
    'x-goog-content-length-range': `1,${bytes.length}`,
    'content-type': 'application/octet-stream',
  }
  const opened = await https.call('POST', `/cdn2${path}?${query}`, { headers })
  assert.equal(opened.status, 201)
  const { pathname, search } = new URL(opened.headers['location']!)
  const put = (range: string, body: Uint8Array) =>
    https.call('PUT', pathname + search, { headers: { 'content-range': range }, body })
  const ask = () => put(`bytes */${bytes.length}`, Buffer.alloc(0))
  const first = await ask()
  assert.deepEqual([first.status, first.headers['range']], [308, undefined])
  const half = 7 * MIB + 13
  assert.equal((await put(`bytes 0-${half - 1}/${bytes.length}`, bytes.subarray(0, half))).status, 308)
  assert.equal((await ask()).headers['range'], `bytes=0-${half - 1}`)
  const end = `bytes ${half}-${bytes.length - 1}/${bytes.length}`
  assert.equal((await put(end, bytes.subarray(half))).status, 200)
  assert.equal((await ask()).status, 200)
  assert.ok(bytes.equals((await https.call('GET', `/cdn2${path}`)).body))
})

onBucket("signal-cli's form for an avatar", async (access) => {
  await using server = await Constellation.open({ config: { files: bucketConfig(access) } })
  await using https = Https.open(server.ready, 1)
  const owner = await register(server)
  const json = profileBody(new ProfileKeys(owner.aci), fullProfile({ avatar: true, sameAvatar: false }))
  const form = (await https.call('PUT', '/v1/profile', { headers: authorizationOf(owner), json })).json
  const avatar = randomBytes(100_000)
  const post = (content: Buffer) =>
    https.call('POST', '/cdn0/', { headers: FORM_TYPE, body: formBody(formFields(form), content) })
  assert.equal((await post(avatar)).status, 204)
  assert.equal((await post(randomBytes(100))).status, 412)
  assert.ok(avatar.equals((await https.call('GET', `/cdn0/${form.key}`)).body))
})

onBucket(
  'the bucket of these tests refuses what was tampered with, so they prove something',
  async (access) => {
    const open = (more: Partial<typeof access> = {}) =>
      new S3Client({ access: { ...access, ...more }, clock: systemClock })
    const client = open()
    const key = 'attachments/abc'
    assert.equal(await client.probe(), 200)
    for (const wrong of [{ secretAccessKey: 'tested' }, { accessKeyId: 'test:other' }]) {
      const other = open(wrong)
      assert.equal(await other.probe(), 403)
      other.close()
    }
    const put = async (url: string, body: string, method = 'PUT') =>
      (await fetch(url, { method, body })).status
    const length = { 'content-length': '5' }
    const url = await client.presign({ method: 'PUT', key, headers: length }, 60)
    const at = url.indexOf('X-Amz-Signature=') + 'X-Amz-Signature='.length
    const flip = (index: number) =>
      `${url.slice(0, index)}${url[index] === '0' ? '1' : '0'}${url.slice(index + 1)}`
    for (let index = at; index < url.length; index += 7) assert.equal(await put(flip(index), 'hello'), 403)
    assert.equal(await put(url.replace('attachments/abc', 'attachments/abd'), 'hello'), 403, 'another key')
    assert.equal(await put(url.replace('Expires=60', 'Expires=61'), 'hello'), 403, 'another expiry')
    assert.equal(await put(url, 'hell'), 403, 'another length')
    assert.equal(await put(url, '', 'DELETE'), 403, 'another method')
    await assert.rejects(
      client.call({ method: 'PUT', key, body: bodyOf('hello'), sha256: '0'.repeat(64) }),
      /BadDigest/,
    )
    await assert.rejects(client.call({ method: 'HEAD', key }), /404/, 'nothing of all that is there')
    assert.equal(await put(url, 'hello'), 200)
    client.close()
  },
)
