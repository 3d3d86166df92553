import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { newAci } from '../../../test/sample-account.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Formed } from './attachments.ts'

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind
const formOf = (formed: Formed) => (formed.kind === 'formed' ? formed.form : assert.fail(formed.kind))
const bearer = (headers: Readonly<Record<string, string>>) =>
  headers['Authorization']!.replace(/^Bearer /, '')

test('a form binds a key that nobody had before, and the length that was asked for', async (t) => {
  const { attachments, signatures } = await openRules(t)
  const aci = newAci()
  const form = formOf(await attachments.form(aci, 500))
  assert.match(form.key, /^[\w-]{20}$/)
  assert.equal(form.signedUploadLocation, 'https://own/cdn3/upload/attachments')
  assert.deepEqual(Object.keys(form.headers), ['Authorization', 'Upload-Metadata'])
  assert.equal(form.headers['Upload-Metadata'], `filename ${Buffer.from(form.key).toString('base64')}`)
  assert.deepEqual(signatures.verifyToken(bearer(form.headers)), {
    audience: 'attachments',
    subject: form.key,
    maxBytes: 500,
  })
  const keys = await Promise.all(Array.from({ length: 20 }, () => attachments.form(aci, 1)))
  assert.equal(new Set(keys.map((formed) => formOf(formed).key)).size, 20)
})

test('who does not say a length gets the largest, and meets no limiter of bytes', async (t) => {
  const { attachments, signatures, limited } = await openRules(t)
  const aci = newAci()
  const form = formOf(await attachments.form(aci, undefined))
  const claims = signatures.verifyToken(bearer(form.headers))
  assert.ok(claims && 'maxBytes' in claims && claims.maxBytes === 1000)
  assert.deepEqual(limited, [`attachmentCreate: ${aci}`])
})

test('nothing and too much get no form, and cost no permit (M6)', async (t) => {
  const { attachments, limited } = await openRules(t)
  await assert.rejects(attachments.form(newAci(), 0), refusedAs('bad-request'))
  assert.deepEqual(await attachments.form(newAci(), 1001), { kind: 'too-large' })
  assert.deepEqual(limited, [])
  assert.equal((await attachments.form(newAci(), 1000)).kind, 'formed')
})

test('who has no bytes left does not lose a form as well', async (t) => {
  const { attachments } = await openRules(t, {
    limits: {
      attachmentCreate: { bucket: 2, refill: 100 },
      attachmentCreateBytes: { bucket: 10, refill: 100 },
    },
  })
  const aci = newAci()
  for (let attempt = 0; attempt < 5; attempt++)
    await assert.rejects(attachments.form(aci, 11), refusedAs('rate-limited'))
  assert.equal((await attachments.form(aci, 10)).kind, 'formed')
  assert.equal((await attachments.form(aci, undefined)).kind, 'formed')
  await assert.rejects(attachments.form(aci, undefined), refusedAs('rate-limited'))
})

test('CDN 2 gets an address that is signed for this object and length', async (t) => {
  const { attachments, signatures } = await openRules(t, { attachments: { cdn: 2 } })
  const form = formOf(await attachments.form(newAci(), 77))
  assert.equal(form.cdn, 2)
  assert.deepEqual(form.headers, {
    host: 'own',
    'x-goog-content-length-range': '1,77',
    'x-goog-resumable': 'start',
  })
  const url = new URL(form.signedUploadLocation)
  assert.equal(url.pathname, `/cdn2/attachments/${form.key}`)
  const verified = signatures.verifyAddress('POST', `/attachments/${form.key}`, url.search.slice(1))
  assert.deepEqual(verified, { maxBytes: 77 })
})

test('a pack of stickers has a form for each sticker and one for its manifest', async (t) => {
  const { attachments, limited } = await openRules(t)
  const aci = newAci()
  const { packId, manifest, stickers } = await attachments.stickers(aci, 201)
  assert.match(packId, /^[0-9a-f]{32}$/)
  assert.equal(manifest.key, `stickers/${packId}/manifest.proto`)
  assert.deepEqual(
    stickers.map(({ key }) => key),
    Array.from({ length: 201 }, (_, index) => `stickers/${packId}/full/${index}`),
  )
  const range = ({ policy }: { policy: string }) =>
    JSON.parse(Buffer.from(policy, 'base64').toString()).conditions.find(
      (condition: unknown) => Array.isArray(condition) && condition[0] === 'content-length-range',
    )
  assert.deepEqual(range(manifest), ['content-length-range', 1, 10_240])
  assert.deepEqual(range(stickers[0]!), ['content-length-range', 1, 308_224])
  for (const count of [0, 202]) await assert.rejects(attachments.stickers(aci, count), refusedAs('invalid'))
  assert.deepEqual(limited, [`stickerPack: ${aci}`])
})
