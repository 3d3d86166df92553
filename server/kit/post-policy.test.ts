import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { ManualClock } from './clock.ts'
import { PostPolicy, postPolicySignature } from './post-policy.ts'
import { UploadKeyRing } from './upload-keys.ts'

const KEYS = { accessKeyId: 'HELIOEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
const clock = new ManualClock(Date.UTC(2026, 1, 3, 4, 5, 6, 789))
const policies = new PostPolicy(UploadKeyRing.of({ ...KEYS, bearerKey: Buffer.alloc(32) }), clock)

test("the signature of AWS's own example of a POST policy is the one that its documentation prints", () => {
  // "Examples: Browser-Based Upload using HTTP POST" of the S3 API reference.
  const lines = [
    '{ "expiration": "2015-12-30T12:00:00.000Z",',
    '  "conditions": [',
    '    {"bucket": "sigv4examplebucket"},',
    '    ["starts-with", "$key", "user/user1/"],',
    '    {"acl": "public-read"},',
    '    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},',
    '    ["starts-with", "$Content-Type", "image/"],',
    '    {"x-amz-meta-uuid": "14365123651274"},',
    '    {"x-amz-server-side-encryption": "AES256"},',
    '    ["starts-with", "$x-amz-meta-tag", ""],',
    '',
    '    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},',
    '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
    '    {"x-amz-date": "20151229T000000Z" }',
    '  ]',
    '}',
  ]
  const policy = Buffer.from(lines.join('\r\n')).toString('base64')
  assert.equal(
    postPolicySignature(policy, KEYS.secretAccessKey, '20151229'),
    '8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e',
  )
})

test('a form allows one object of a size, for half an hour, under the names that its fields carry', () => {
  const form = policies.formFor('profiles/AA', { maxBytes: 10_485_760 })
  const { policy, signature, ...fields } = form
  assert.deepEqual(fields, {
    key: 'profiles/AA',
    credential: 'HELIOEXAMPLE/20260203/us-east-1/s3/aws4_request',
    acl: 'private',
    algorithm: 'AWS4-HMAC-SHA256',
    date: '20260203T040506Z',
  })
  const { expiration, conditions } = JSON.parse(Buffer.from(policy, 'base64').toString('utf8'))
  assert.equal(expiration, '2026-02-03T04:35:06.789Z')
  assert.deepEqual(conditions, [
    { bucket: 'heliograph' },
    { key: 'profiles/AA' },
    { acl: 'private' },
    ['starts-with', '$Content-Type', ''],
    ['content-length-range', 1, 10_485_760],
    { 'x-amz-credential': fields.credential },
    { 'x-amz-algorithm': fields.algorithm },
    { 'x-amz-date': fields.date },
  ])
  assert.match(signature, /^[0-9a-f]{64}$/)
})

test("a form's signature is what Signature Version 4 derives from the day, the region and the service", () => {
  const { policy, signature } = policies.formFor('stickers/AA/full/1', { maxBytes: 301 * 1024 })
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const dateKey = hmac(`AWS4${KEYS.secretAccessKey}`, '20260203')
  const signingKey = hmac(hmac(hmac(dateKey, 'us-east-1'), 's3'), 'aws4_request')
  assert.equal(signature, hmac(signingKey, policy).toString('hex'))
})

test('a name that would end the JSON stays a name', () => {
  const key = 'a"},{"key":"b'
  const { policy } = policies.formFor(key, { minBytes: 5, maxBytes: 5 })
  const { conditions } = JSON.parse(Buffer.from(policy, 'base64').toString('utf8'))
  assert.deepEqual(conditions[1], { key })
  assert.deepEqual(conditions[4], ['content-length-range', 5, 5])
})
