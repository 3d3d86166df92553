// Clients that are sent to the bucket: signed addresses to put and to get (docs/protocol/files-bucket.md).
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../../server/kit/clock.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Https } from '../client/https.ts'
import { Constellation } from '../constellation.ts'
import { temporaryFolder } from '../engines.ts'
import { bucketConfig } from '../files/bucket-config.ts'
import { onBucket } from '../files/stores.ts'

const SENT = { directUploads: true, downloads: 'redirect' }
const newKey = () => randomBytes(15).toString('base64url')

async function openServer(access: Parameters<typeof bucketConfig>[0], sent: Partial<typeof SENT> = SENT) {
  const server = await Constellation.open({ config: { files: bucketConfig(access, sent) } })
  const { uploads } = await server.secrets()
  const signatures = new UploadSignatures(uploads, systemClock)
  return {
    server,
    /** The address of a plain upload. */
    plain: (name: string, maxBytes: number) => {
      const expiresAtS = Math.floor(systemClock.nowMs() / 1000) + 600
      return plainAddress(plainKey(uploads.signing(systemClock.nowMs()).bearerKey), {
        name,
        maxBytes,
        expiresAtS,
      })
    },
    /** Opens an upload of CDN 2. */
    async open(https: Https, key: string, maxBytes: number, more: Readonly<Record<string, string>> = {}) {
      const path = `/attachments/${key}`
      const query = signatures.addressQuery({ method: 'POST', path, maxBytes })
      const headers = { 'x-goog-resumable': 'start', 'x-goog-content-length-range': `1,${maxBytes}`, ...more }
      return https.call('POST', `/cdn2${path}?${query}`, { headers })
    },
    [Symbol.asyncDispose]: () => server.close(),
  }
}

onBucket('curl follows to the bucket, and the file is served once it is there', async (access, t) => {
  await using opened = await openServer(access, { directUploads: true })
  const { server, plain } = opened
  const content = randomBytes(3_000_000)
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, content)
  const name = newKey()
  const curl = async (address: string) => {
    const how = [
      '-sS',
      '-L',
      '--http1.1',
      '--cacert',
      server.ready.tls.caPem,
      '-w',
      '%{http_code} %{url_effective}',
      '-T',
      file,
    ]
    const url = new URL(address, server.ready.urls.chat).href
    return (await promisify(execFile)('curl', [...how, url])).stdout
  }
  const told = await curl(plain(name, content.length))
  assert.match(told, /^200 http:\/\/127\.0\.0\.1:\d+\/test-/, 'it ended at the bucket')
  await server.restart()
  await using later = Https.open(server.ready, 1)
  const { status, body } = await later.call('GET', `/attachments/${name}`)
  assert.equal(status, 200)
  assert.ok(content.equals(body))
  assert.match(await curl(plain(name, content.length)), /^409 https/, 'nothing is overwritten')
  assert.match(await curl(plain(newKey(), content.length - 1)), /^413 https/)
})

onBucket(
  'an address to put to takes one length, and what comes later changes nothing (F1)',
  async (access) => {
    await using opened = await openServer(access, { directUploads: true })
    await using https = Https.open(opened.server.ready, 1)
    const name = newKey()
    const sent = await https.call('PUT', opened.plain(name, 1000), { body: 'x'.repeat(100) })
    assert.equal(sent.status, 307)
    const url = sent.headers['location']!
    const put = async (body: string, to = url) => (await fetch(to, { method: 'PUT', body })).status
    for (const body of ['', 'x', 'x'.repeat(99), 'x'.repeat(101)]) assert.equal(await put(body), 403)
    assert.equal(await put('x'.repeat(100), url.replace('incoming/', 'attachments/')), 403)
    const served = async () => (await https.call('GET', `/attachments/${name}`)).body.toString()
    assert.equal((await https.call('GET', `/attachments/${name}`)).status, 404)
    assert.equal(await put('a'.repeat(100)), 200)
    assert.equal(await put('b'.repeat(100)), 200, 'nobody saw the first')
    assert.equal(await served(), 'b'.repeat(100))
    assert.equal(
      await put('c'.repeat(100)),
      200,
      'the address is still good, for a place where nothing is served',
    )
    assert.equal(await served(), 'b'.repeat(100))
  },
)

onBucket('CDN 2 sends to the bucket who says how long the file is, and nobody else', async (access) => {
  await using opened = await openServer(access, { directUploads: true })
  await using https = Https.open(opened.server.ready, 2)
  const key = newKey()
  const own = await opened.open(https, key, 100)
  assert.ok(own.headers['location']!.startsWith(opened.server.ready.urls.cdn2), "as Signal's clients ask")
  for (const wrong of ['0', '101', '-1', '1e1', '50, 50']) {
    const { headers } = await opened.open(https, key, 100, { 'x-upload-content-length': wrong })
    assert.ok(headers['location']!.startsWith(opened.server.ready.urls.cdn2), wrong)
  }
  const { status, headers } = await opened.open(https, key, 100, { 'x-upload-content-length': '5' })
  assert.equal(status, 201)
  const url = headers['location']!
  assert.ok(url.startsWith(access.endpoint))
  const question = await fetch(url, { method: 'PUT', headers: { 'content-range': 'bytes */5' } })
  assert.equal(question.status, 403, 'who asks how far it is stores no empty file')
  assert.equal((await https.call('GET', `/attachments/${key}`)).status, 404)
  assert.equal((await fetch(url, { method: 'PUT', body: 'hello' })).status, 200)
  assert.equal((await https.call('GET', `/attachments/${key}`)).body.toString(), 'hello')
  assert.equal((await opened.open(https, key, 100, { 'x-upload-content-length': '5' })).status, 409)
})

onBucket('downloads are sent to the bucket where that is configured', async (access) => {
  await using opened = await openServer(access, { downloads: 'redirect' })
  await using https = Https.open(opened.server.ready, 1)
  const name = newKey()
  assert.equal((await https.call('GET', `/attachments/${name}`)).status, 404)
  assert.equal((await https.call('PUT', opened.plain(name, 1000), { body: 'hello' })).status, 201)
  const { status, headers } = await https.call('GET', `/attachments/${name}`)
  assert.equal(status, 307)
  assert.equal(headers['cache-control'], 'private, no-store')
  const url = headers['location']!
  const got = await fetch(url)
  assert.equal(await got.text(), 'hello')
  assert.equal(got.headers.get('content-disposition'), 'attachment')
  assert.equal(got.headers.get('content-type'), 'application/octet-stream')
  assert.equal(await (await fetch(url, { headers: { range: 'bytes=1-2' } })).text(), 'el')
  assert.equal((await fetch(url.replace(name, newKey()))).status, 403)
  assert.equal((await fetch(url.replace('=attachment', '=inline'))).status, 403)
  const head = await https.call('HEAD', `/attachments/${name}`)
  assert.deepEqual([head.status, head.headers['content-length']], [200, '5'])
})
