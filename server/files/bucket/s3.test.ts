// What is read of S3's answers and where its requests go, without a bucket; and the way there by TLS, with one.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { createServer } from 'node:tls'
import { temporaryFolder } from '../../../test/engines.ts'
import { onBucket } from '../../../test/files/stores.ts'
import { openCertificates } from '../../kit/certificates.ts'
import { systemClock } from '../../kit/clock.ts'
import { type S3Access, urlOf } from './s3-access.ts'
import { S3Client } from './s3-client.ts'
import { failureOf } from './s3-failure.ts'
import { completionOf, elementsOf, textOf } from './s3-xml.ts'

const ACCESS: S3Access = {
  ...{ endpoint: 'https://s3.example.org', region: 'eu-1', bucket: 'files', pathStyle: true },
  ...{ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
}

test('an object has its address below the bucket, which is in the path or in the host name', () => {
  const url = (more: Partial<S3Access>, path = 'attachments/a') => urlOf({ ...ACCESS, ...more }, path).href
  assert.equal(url({}), 'https://s3.example.org/files/attachments/a')
  assert.equal(url({ pathStyle: false }), 'https://files.s3.example.org/attachments/a')
  assert.equal(url({ endpoint: 'http://[::1]:9000/s3/' }), 'http://[::1]:9000/s3/files/attachments/a')
  assert.equal(url({}, ''), 'https://s3.example.org/files')
  assert.equal(url({ pathStyle: false }, ''), 'https://files.s3.example.org/')
})

test("Amazon's example of a presigned address is signed as Amazon signs it", async () => {
  // Amazon S3, "Authenticating Requests: Using Query Parameters", its example.
  const clock = { ...systemClock, nowMs: () => Date.UTC(2013, 4, 24) }
  const access = {
    ...{
      endpoint: 'https://s3.amazonaws.com',
      bucket: 'examplebucket',
      region: 'us-east-1',
      pathStyle: false,
    },
    ...{ accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
  }
  const client = new S3Client({ access, clock })
  const url = new URL(await client.presign({ method: 'GET', key: 'test.txt' }, 86_400))
  client.close()
  assert.equal(url.host, 'examplebucket.s3.amazonaws.com')
  assert.equal(
    url.searchParams.get('X-Amz-Signature'),
    'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  )
})

test('elements are found, and what is escaped in them is read', () => {
  const xml = '<A><Key>one</Key><ETag>&quot;a&#x62;&#99;&amp;amp;&quot;</ETag></A><A><Key>two</Key></A>'
  assert.deepEqual(elementsOf(xml, 'Key'), ['one', 'two'])
  assert.equal(textOf(xml, 'ETag'), '"abc&amp;"')
  assert.equal(textOf(xml, 'Nothing'), undefined)
  const completion = completionOf(['"a<b"', '"c"'])
  assert.match(completion, /<Part><PartNumber>2<\/PartNumber><ETag>&#34;c&#34;<\/ETag><\/Part>/)
  assert.ok(!completion.includes('a<b'))
})

test('an error is one in the body of a 200 as well, and full, passing and missing are told apart', () => {
  const error = (code: string) => `<?xml version="1.0"?>\n<Error><Code>${code}</Code></Error>`
  assert.equal(failureOf(200, '<CompleteMultipartUploadResult/>'), undefined)
  const late = failureOf(200, error('InternalError'))
  assert.deepEqual([late?.status, late?.code, late?.isPassing], [500, 'InternalError', true])
  for (const [status, code, isPassing, isFull] of [
    [503, 'SlowDown', true, false],
    [429, '', true, false],
    [400, 'RequestTimeout', true, false],
    [501, 'NotImplemented', false, false],
    [404, 'NoSuchKey', false, false],
    [403, 'QuotaExceeded', false, true],
    [507, 'XMinioStorageFull', false, true],
  ] as const) {
    const failure = failureOf(status, code && error(code))
    assert.deepEqual([failure?.isPassing, failure?.isFull], [isPassing, isFull], code)
  }
})

onBucket(
  'the way to the bucket is TLS where it says so, and only the authority that is given is believed',
  async (access, t) => {
    const folder = await temporaryFolder(t)
    const own = async (name: string) =>
      openCertificates({
        secretsFolder: join(folder, name, 'secrets'),
        dataFolder: join(folder, name),
        hosts: ['localhost'],
        nowMs: systemClock.nowMs(),
      })
    const [tls, other] = [await own('a'), await own('b')]
    const server = createServer(tls, (near) => {
      const far = connect(Number(new URL(access.endpoint).port), '127.0.0.1')
      near.on('error', () => far.destroy()).pipe(far)
      far.on('error', () => near.destroy()).pipe(near)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const endpoint = `https://localhost:${(server.address() as AddressInfo).port}`
    const probed = async (caFile: string | undefined) => {
      const caPem = caFile && (await readFile(caFile, 'utf8'))
      const client = new S3Client({ access: { ...access, endpoint, caPem }, clock: systemClock })
      return client.probe().finally(() => client.close())
    }
    assert.equal(await probed(tls.caPemFile), 200)
    assert.equal(await probed(other.caPemFile), undefined)
    assert.equal(await probed(undefined), undefined)
  },
)
