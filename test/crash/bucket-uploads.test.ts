// F2 over a bucket: the server is killed while files come in, are sent in parts, and are finished.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UploadForms } from '../../server/chat/attachments/upload-forms.ts'
import { Bucket } from '../../server/files/bucket/bucket.ts'
import { S3Client } from '../../server/files/bucket/s3-client.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Line } from '../client/line.ts'
import { type Form, TusClient } from '../client/tus.ts'
import { bucketYaml } from '../files/bucket-config.ts'
import { gather } from '../files/disk.ts'
import { FaultyLine } from '../files/faulty-line.ts'
import { onBucket } from '../files/stores.ts'
import { ServerProcess } from '../server-process.ts'
import { Dice } from './dice.ts'

const ROUNDS = 6
const PART_BYTES = 5 * 1024 * 1024
const MIB = 1024 * 1024

onBucket(
  'no acknowledged byte is lost to kill -9, and no half file is served, over a bucket',
  async (access, t) => {
    await using bucketLine = await FaultyLine.open(Number(new URL(access.endpoint).port))
    const behind = { ...access, endpoint: `http://127.0.0.1:${bucketLine.port}` }
    await using server = await ServerProcess.start({ yaml: bucketYaml(behind) })
    const { uploads } = await openSecrets(join(server.data, 'secrets'))
    const signatures = new UploadSignatures(uploads, systemClock)
    const forms = new UploadForms({ signatures, urls: () => server.ready.urls, random: systemRandom })
    const newForm = (maxBytes: number): Form => {
      const { key, headers, signedUploadLocation } = forms.attachment(maxBytes, 3)
      return { key, headers, location: signedUploadLocation }
    }
    const dice = new Dice(11)
    const download = async (key: string) => {
      const url = new URL(`${server.ready.urls.cdn3}/attachments/${key}`)
      const { status, body } = await new Line(server.ready, 2).send({ method: 'GET', url, headers: {} }, [])
      return { status, bytes: await gather(body) }
    }
    let [cut, finished] = [0, 0]
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = randomBytes(1 + dice.below(dice.chance(0.3) ? 100_000 : 14 * MIB))
      const step = Math.ceil(bytes.length / 4)
      const form = newForm(bytes.length)
      const tus = new TusClient(server.ready, 2, form)
      const digest = createHash('sha256').update(bytes).digest('base64')
      const about = { 'upload-length': String(bytes.length), 'upload-checksum': `sha256 ${digest}` }
      assert.equal((await tus.create(about)).status, 201)
      const fatal = dice.chance(0.7) ? 3 : dice.below(3)
      let acknowledged = 0
      const part = (from: number) => tus.append(from, [bytes.subarray(from, from + step)])
      for (let index = 0; index < fatal && acknowledged < bytes.length; index++) {
        const { status, headers } = await part(acknowledged)
        assert.equal(status, 204)
        acknowledged = Number(headers['upload-offset'])
      }
      const last = acknowledged < bytes.length ? part(acknowledged).catch(() => undefined) : undefined
      // Somewhere on the way to the bucket, or while it is told that this is all, or when it is over.
      const unsent = bytes.length - Math.floor(acknowledged / PART_BYTES) * PART_BYTES
      const fatalByte = dice.chance(0.5) ? unsent + dice.below(4000) : dice.below(unsent)
      await Promise.race([last, bucketLine.passed(fatalByte)])
      await server.kill()
      acknowledged = Number((await last)?.headers['upload-offset'] ?? acknowledged)
      await server.restart(server.port)

      const found = await download(form.key)
      if (found.status === 200) assert.ok(bytes.equals(found.bytes), `round ${round}: half a file was served`)
      else assert.equal(found.status, 404)
      const offset = await tus.offset()
      assert.ok(offset >= acknowledged, `round ${round}: ${offset} of ${acknowledged} bytes are left`)
      if (offset < bytes.length) cut++
      else finished++
      if (offset < bytes.length)
        assert.equal((await tus.append(offset, [bytes.subarray(offset)])).status, 204)
      assert.ok(bytes.equals((await download(form.key)).bytes), `round ${round}: other bytes came back`)
    }
    t.diagnostic(`${ROUNDS} kills: ${cut} uploads were cut, ${finished} were whole`)
    const left = await readdir(join(server.data, 'files', 'uploads'))
    assert.deepEqual(left, [], 'nothing is left here')
    const bucket = new Bucket(new S3Client({ access, clock: systemClock }))
    assert.deepEqual(await bucket.unfinished(), [], 'nor at the bucket')
    bucket.close()
  },
)
