// Permission to upload attachments and stickers (signal-api §2.18, §2.19).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { systemClock } from '../../server/kit/clock.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Attachments } from '../../wire/gen/attachments.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const MAX_BYTES = 107_335_792
const FORM = '/v4/attachments/form/upload'
let server: Constellation
let signatures: UploadSignatures
before(async () => {
  server = await Constellation.open()
  signatures = new UploadSignatures((await server.secrets()).uploads, systemClock)
})
after(() => server.close())

const claimsOf = (authorization: string | undefined) =>
  signatures.verifyToken(authorization!.replace(/^Bearer /, ''))

for (const httpVersion of HTTP_VERSIONS)
  describe(`attachments over HTTP/${httpVersion}`, () => {
    test("libsignal's typed call gets a form, and is told what is too large", async () => {
      await using client = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
      const { auth } = client.link
      const form = await auth.getUploadForm({ uploadSize: 4242n })
      assert.equal(form.cdn, 3)
      assert.equal(form.signedUploadUrl.href, `${server.ready.urls.chat}/cdn3/upload/attachments`)
      const headers = new Map(Array.from(form.headers, ([name, value]) => [name.toLowerCase(), value]))
      assert.deepEqual(claimsOf(headers.get('authorization')), {
        audience: 'attachments',
        subject: form.key,
        maxBytes: 4242,
      })
      assert.ok(await auth.getUploadForm({ uploadSize: BigInt(MAX_BYTES) }))
      await assert.rejects(auth.getUploadForm({ uploadSize: BigInt(MAX_BYTES + 1) }), {
        code: LS.ErrorCode.UploadTooLarge,
      })
    })

    test('the form over HTTPS is the same, with a length and without', async () => {
      await using https = Https.open(server.ready, httpVersion)
      const headers = authorizationOf(await register(server, { httpVersion }))
      const ask = async (path: string, as: Readonly<Record<string, string>> = headers) =>
        https.call('GET', path, { headers: as })
      const { status, json } = await ask(`${FORM}?uploadLength=9`)
      assert.equal(status, 200)
      assert.deepEqual(Object.keys(json).sort(), ['cdn', 'headers', 'key', 'signedUploadLocation'])
      const subject = json.key
      assert.deepEqual(claimsOf(json.headers.Authorization), {
        audience: 'attachments',
        subject,
        maxBytes: 9,
      })
      const any = claimsOf((await ask(FORM)).json.headers.Authorization)
      assert.ok(any && 'maxBytes' in any && any.maxBytes === MAX_BYTES)
      const statuses = [
        `${FORM}?uploadLength=0`,
        `${FORM}?uploadLength=${MAX_BYTES + 1}`,
        `${FORM}?uploadLength=x`,
      ]
      assert.deepEqual(
        await Promise.all(statuses.map(async (path) => (await ask(path)).status)),
        [400, 413, 422],
      )
      assert.equal((await ask(FORM, {})).status, 401)
    })

    test('the forms of a pack of stickers number the stickers from 0, and the manifest -1', async () => {
      await using https = Https.open(server.ready, httpVersion)
      const headers = authorizationOf(await register(server, { httpVersion }))
      const ask = (count: string) => https.call('GET', `/v1/sticker/pack/form/${count}`, { headers })
      const { status, json } = await ask('3')
      assert.equal(status, 200)
      assert.deepEqual(Object.keys(json).sort(), ['manifest', 'packId', 'stickers'])
      assert.deepEqual(
        [json.manifest, ...json.stickers].map(({ id, key }) => [id, key]),
        [
          [-1, `stickers/${json.packId}/manifest.proto`],
          ...[0, 1, 2].map((index) => [index, `stickers/${json.packId}/full/${index}`]),
        ],
      )
      const fields = ['acl', 'algorithm', 'credential', 'date', 'id', 'key', 'policy', 'signature']
      assert.deepEqual(Object.keys(json.manifest).sort(), fields)
      for (const count of ['0', '202', 'x']) assert.equal((await ask(count)).status, 422, count)
    })
  })

test("libsignal's typed call gets the forms of a pack of stickers", async () => {
  await using client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  const forms = await client.link.auth.getStickerUploadForms({ numberOfStickers: 2 })
  assert.match(forms.packId, /^[0-9a-f]{32}$/)
  assert.equal(forms.manifestUploadForm.key, `stickers/${forms.packId}/manifest.proto`)
  assert.equal(forms.stickerUploadForms.length, 2)
})

test('by gRPC an empty upload and a wrong number of stickers break the contract', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const headers = authorizationOf(await register(server))
  const { getUploadForm, getStickerUploadForm } = Attachments.rpcs
  const empty = await grpc.call(getUploadForm, {}, headers)
  assert.deepEqual([empty.reason, empty.fields], ['CONSTRAINT_VIOLATED', ['upload_length']])
  const none = await grpc.call(getStickerUploadForm, { stickerCount: 202 }, headers)
  assert.deepEqual([none.reason, none.fields], ['CONSTRAINT_VIOLATED', ['sticker_count']])
})

test('the fifty-first form within a moment is 429, whichever door it is asked for at (L1)', async () => {
  await using strict = await Constellation.open({
    config: { limits: { attachmentCreate: { refill: 1000 } } },
  })
  await using https = Https.open(strict.ready, 2)
  await using grpc = GrpcClient.open(strict.ready)
  const headers = authorizationOf(await register(strict))
  const ask = () => https.call('GET', FORM, { headers })
  const statuses = await Promise.all(Array.from({ length: 52 }, async () => (await ask()).status))
  assert.deepEqual(statuses.sort().slice(49), [200, 429, 429])
  assert.ok(Number((await ask()).headers['retry-after']) >= 1)
  const byGrpc = await grpc.call(Attachments.rpcs.getUploadForm, { uploadLength: 5 }, headers)
  assert.equal(byGrpc.reason, 'RESOURCE_EXHAUSTED')
})
