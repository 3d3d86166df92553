// A bucket that is away, that answers in pieces, or that is full: clients are told to come again, and nothing is lost.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { authorizationOf, Https } from '../client/https.ts'
import { fullProfile, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { formOf, TusClient } from '../client/tus.ts'
import { Constellation } from '../constellation.ts'
import { Dice } from '../crash/dice.ts'
import { temporaryFolder } from '../engines.ts'
import { sharedSwift } from '../swift.ts'
import { until } from '../within.ts'
import { bucketConfig } from './bucket-config.ts'
import { FaultyLine } from './faulty-line.ts'
import { FORM_TYPE, formBody, formFields } from './post-form.ts'
import { onBucket } from './stores.ts'

const MIB = 1024 * 1024

/** A server whose bucket is behind a line that can fail. */
async function openBehind(access: Parameters<typeof bucketConfig>[0]) {
  const line = await FaultyLine.open(Number(new URL(access.endpoint).port))
  const behind = { ...access, endpoint: `http://127.0.0.1:${line.port}` }
  const server = await Constellation.open({ config: { files: bucketConfig(behind) } })
  return {
    ...{ line, server },
    async [Symbol.asyncDispose]() {
      await server.close()
      await line[Symbol.asyncDispose]()
    },
  }
}

onBucket(
  'while the bucket is away everybody is told 503 and loses nothing, and goes on when it is back',
  async (access) => {
    await using opened = await openBehind(access)
    const { line, server } = opened
    await using client = await SignalClient.create(server, { oneTimeKeys: 0 })
    await using https = Https.open(server.ready, 1)
    const bytes = randomBytes(12 * MIB)
    const newTus = async () => {
      const form = formOf(await client.link.auth.getUploadForm({ uploadSize: BigInt(bytes.length) }))
      return { form, tus: new TusClient(server.ready, 1, form) }
    }
    const { form, tus } = await newTus()
    const owner = await register(server)
    const json = profileBody(new ProfileKeys(owner.aci), fullProfile({ avatar: true, sameAvatar: false }))
    const avatar = (await https.call('PUT', '/v1/profile', { headers: authorizationOf(owner), json })).json
    const post = () =>
      https.call('POST', '/cdn0/', {
        headers: FORM_TYPE,
        body: formBody(formFields(avatar), randomBytes(100)),
      })
    await tus.create({ 'upload-length': String(bytes.length) })
    assert.equal((await tus.append(0, [bytes.subarray(0, MIB)])).status, 204)

    await line.cut()
    const away = await Promise.all([
      tus.tell(),
      tus.append(MIB, [bytes.subarray(MIB)]),
      (await newTus()).tus.create({ 'upload-length': '5' }),
      https.call('GET', `/cdn3/attachments/${form.key}`),
    ])
    assert.deepEqual(
      away.map(({ status }) => status),
      [503, 503, 503, 503],
    )
    const refused = await post()
    assert.equal(refused.status, 503)
    assert.match(refused.body.toString(), /<Code>ServiceUnavailable</)
    assert.equal(
      (await https.call('GET', '/v1/accounts/whoami', { headers: authorizationOf(owner) })).status,
      200,
    )

    await line.mend()
    const offset = await tus.offset()
    assert.ok(offset >= MIB)
    assert.equal((await tus.append(offset, [bytes.subarray(offset)])).status, 204)
    assert.ok(bytes.equals((await https.call('GET', `/cdn3/attachments/${form.key}`)).body))
    assert.equal((await post()).status, 204)
  },
)

onBucket('over a line that breaks again and again, files come in and go out as they are', async (access) => {
  await using opened = await openBehind(access)
  const { line, server } = opened
  await using client = await SignalClient.create(server, { oneTimeKeys: 0 })
  await using https = Https.open(server.ready, 2)
  const dice = new Dice(7)
  for (const length of [1000, 3 * MIB, 12 * MIB]) {
    const bytes = randomBytes(length)
    const form = formOf(await client.link.auth.getUploadForm({ uploadSize: BigInt(length) }))
    const tus = new TusClient(server.ready, 2, form)
    assert.equal((await tus.create({ 'upload-length': String(length) })).status, 201)
    line.breakBy(() => (dice.chance(0.5) ? dice.below(8 * MIB) : undefined))
    await until('the file to be there', async () => {
      const { status, headers } = await tus.tell()
      if (status !== 200) return false
      const offset = Number(headers['upload-offset'])
      return offset === length || (await tus.append(offset, [bytes.subarray(offset)])).status === 204
    })
    line.breakBy(() => (dice.chance(0.5) ? dice.below(4 * MIB) : undefined))
    for (let round = 0; round < 3; round++) {
      const { status, body } = await https.call('GET', `/cdn3/attachments/${form.key}`)
      assert.ok(status === 200 ? bytes.equals(body) : status === 503, String(status))
    }
    line.breakBy(undefined)
    assert.ok(bytes.equals((await https.call('GET', `/cdn3/attachments/${form.key}`)).body))
  }
})

onBucket('a bucket that is full is 507, and takes more when it has room (F2)', async (access) => {
  await using server = await Constellation.open({ config: { files: bucketConfig(access) } })
  await using client = await SignalClient.create(server, { oneTimeKeys: 0 })
  const swift = await sharedSwift()
  await swift!.limit(access.bucket, 1 * MIB)
  const bytes = randomBytes(2 * MIB)
  const form = formOf(await client.link.auth.getUploadForm({ uploadSize: BigInt(bytes.length) }))
  const tus = new TusClient(server.ready, 2, form)
  await tus.create({ 'upload-length': String(bytes.length) })
  assert.equal((await tus.append(0, [bytes])).status, 507)
  await swift!.limit(access.bucket, 4 * MIB)
  assert.equal((await tus.tell()).headers['upload-offset'], String(bytes.length))
  await using https = Https.open(server.ready, 2)
  assert.ok(bytes.equals((await https.call('GET', `/cdn3/attachments/${form.key}`)).body))
})

onBucket(
  'a server starts without its bucket, and says in one sentence what the bucket refuses',
  async (access, t) => {
    const line = await FaultyLine.open(Number(new URL(access.endpoint).port))
    await line.cut()
    const behind = { ...access, endpoint: `http://127.0.0.1:${line.port}` }
    const limited = { ...bucketConfig(behind), maxBytes: 1000 }
    await using server = await Constellation.open({ config: { files: limited } })
    await using client = await SignalClient.create(server, { oneTimeKeys: 0 })
    const create = async () => {
      const form = formOf(await client.link.auth.getUploadForm({ uploadSize: 5n }))
      return (await new TusClient(server.ready, 2, form).createWith(Buffer.from('hello'))).status
    }
    assert.equal(await create(), 503)
    await line.mend()
    assert.equal(await create(), 201)
    await line.cut()
    const start = (more: Partial<typeof access>) =>
      Constellation.open({ config: { files: bucketConfig({ ...access, ...more }) } })
    await assert.rejects(
      start({ bucket: 'not-there' }),
      /files\.s3: the bucket "not-there" .* is not there\./,
    )
    await assert.rejects(start({ secretAccessKey: 'guessed' }), /refuses the access key, its secret/)
    const secretAccessKeyFile = join(await temporaryFolder(t), 'secret')
    await writeFile(secretAccessKeyFile, `${access.secretAccessKey}\n`)
    const { secretAccessKey: _, ...rest } = access
    const inFile = { store: 's3', s3: { ...rest, secretAccessKeyFile } }
    await (await Constellation.open({ config: { files: inFile } })).close()
  },
)
