import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { ManualClock } from './clock.ts'
import { UploadKeyRing } from './upload-keys.ts'
import {
  ADDRESS_LIFETIME_S,
  TOKEN_LIFETIME_S,
  type UploadClaims,
  UploadSignatures,
} from './upload-signatures.ts'

const KEY = Buffer.alloc(32, 7)
const ringOf = (bearerKey: Uint8Array) =>
  UploadKeyRing.of({ bearerKey, accessKeyId: 'HELIO', secretAccessKey: 'secret' })
const CLAIMS: readonly UploadClaims[] = [
  { audience: 'attachments', subject: 'abc', maxBytes: 100 },
  { audience: 'backups', scope: 'write', subject: 'dir/messageBackup', maxBytes: 1 },
  { audience: 'backups', scope: 'read', subject: 'dir' },
]
const open = () => {
  const clock = new ManualClock()
  return { clock, signatures: new UploadSignatures(ringOf(KEY), clock) }
}
const parts = (token: string) => token.split('.') as [string, string, string]
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const hmac = (text: string) => createHmac('sha256', KEY).update(text).digest('base64url')

test('a token says what it was made for, in the claims that the file store of Signal reads', () => {
  const { clock, signatures } = open()
  const iat = clock.nowMs() / 1000
  const bodies = CLAIMS.map((claims) => {
    const token = signatures.token(claims)
    assert.deepEqual(signatures.verifyToken(token), claims)
    const [header, payload, signature] = parts(token)
    assert.deepEqual(JSON.parse(Buffer.from(header, 'base64url').toString()), { alg: 'HS256', typ: 'JWT' })
    assert.equal(signature, hmac(`${header}.${payload}`))
    return JSON.parse(Buffer.from(payload, 'base64url').toString())
  })
  assert.deepEqual(bodies, [
    { aud: 'attachments', sub: 'abc', iat, maxLen: 100 },
    { aud: 'backups', sub: 'dir/messageBackup', iat, maxLen: 1, scope: 'write' },
    { aud: 'backups', sub: 'dir', iat, scope: 'read' },
  ])
})

test('a token that was changed, signed with another key or by no algorithm is none', () => {
  const { clock, signatures } = open()
  const token = signatures.token(CLAIMS[0]!)
  const [header, payload, signature] = parts(token)
  const none = encode({ alg: 'none', typ: 'JWT' })
  const larger = encode({ aud: 'attachments', sub: 'abc', iat: clock.nowMs() / 1000, maxLen: 1_000_000 })
  const forged = [
    '',
    'a.b.c',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}.${payload}.${signature}.`,
    `${header}.${payload}.${signature.slice(1)}`,
    `${header}.${larger}.${signature}`,
    `${none}.${payload}.`,
    `${none}.${payload}.${hmac(`${none}.${payload}`)}`,
    new UploadSignatures(ringOf(Buffer.alloc(32, 8)), clock).token(CLAIMS[0]!),
  ]
  for (const one of forged) assert.equal(signatures.verifyToken(one), undefined, one)
})

test('a token without the claims of its kind allows nothing', () => {
  const { clock, signatures } = open()
  const iat = clock.nowMs() / 1000
  const [header] = parts(signatures.token(CLAIMS[0]!))
  for (const payload of [
    { aud: 'attachments', sub: 'abc', iat },
    { aud: 'attachments', sub: 'abc', maxLen: 1 },
    { aud: 'attachments', iat, maxLen: 1 },
    { aud: 'backups', sub: 'abc', iat, maxLen: 1 },
    { aud: 'other', sub: 'abc', iat, maxLen: 1, scope: 'write' },
  ]) {
    const input = `${header}.${encode(payload)}`
    assert.equal(signatures.verifyToken(`${input}.${hmac(input)}`), undefined, JSON.stringify(payload))
  }
})

test('a token ends after seven days, and one from the future is not believed', () => {
  const { clock, signatures } = open()
  const token = signatures.token(CLAIMS[0]!)
  clock.advance(TOKEN_LIFETIME_S * 1000 - 1)
  assert.ok(signatures.verifyToken(token))
  clock.advance(1)
  assert.equal(signatures.verifyToken(token), undefined)
  clock.advance(-TOKEN_LIFETIME_S * 1000 - 301_000)
  assert.equal(signatures.verifyToken(token), undefined)
})

test('a signed address binds method, path, length and expiry', () => {
  const { clock, signatures } = open()
  const query = signatures.addressQuery({ method: 'POST', path: '/attachments/abc', maxBytes: 10 })
  const [e, l, s] = query.split('&') as [string, string, string]
  assert.deepEqual(signatures.verifyAddress('POST', '/attachments/abc', query), { maxBytes: 10 })
  const tampered: [string, string, string][] = [
    ['PUT', '/attachments/abc', query],
    ['GET', '/attachments/abc', query],
    ['POST', '/attachments/abd', query],
    ['POST', '/attachments/abc/', query],
    ['POST', '/attachments/abc', `${e}&l=11&${s}`],
    ['POST', '/attachments/abc', `e=${Number(e.slice(2)) + 1}&${l}&${s}`],
    ['POST', '/attachments/abc', `e=1e99&${l}&${s}`],
    ['POST', '/attachments/abc', `${e}&${l}`],
    ['POST', '/attachments/abc', `${query}&x=1`],
    ['POST', '/attachments/abc', ''],
  ]
  for (const [method, path, asked] of tampered)
    assert.equal(signatures.verifyAddress(method, path, asked), undefined, `${method} ${path} ${asked}`)
  clock.advance(ADDRESS_LIFETIME_S * 1000 - 1000)
  assert.ok(signatures.verifyAddress('POST', '/attachments/abc', query))
  clock.advance(1000)
  assert.equal(signatures.verifyAddress('POST', '/attachments/abc', query), undefined)
})

test('an address that promises more than a signer would is not believed', () => {
  const { clock, signatures } = open()
  const later = new ManualClock(clock.nowMs() + 600_000)
  const query = new UploadSignatures(ringOf(KEY), later).addressQuery({
    method: 'PUT',
    path: '/a',
    maxBytes: 1,
  })
  assert.equal(signatures.verifyAddress('PUT', '/a', query), undefined)
  clock.advance(600_000)
  assert.ok(signatures.verifyAddress('PUT', '/a', query))
})

test('a signature has one way to be written: bits that base64 would drop are not', () => {
  const { signatures } = open()
  const same = (text: string) => {
    const last = text.at(-1)!
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    return text.slice(0, -1) + letters[letters.indexOf(last) ^ 1]
  }
  const token = signatures.token(CLAIMS[0]!)
  assert.deepEqual(Buffer.from(parts(same(token))[2], 'base64url'), Buffer.from(parts(token)[2], 'base64url'))
  assert.ok(signatures.verifyToken(token))
  assert.equal(signatures.verifyToken(same(token)), undefined)
  const query = signatures.addressQuery({ method: 'PUT', path: '/attachments/a', maxBytes: 9 })
  assert.ok(signatures.verifyAddress('PUT', '/attachments/a', query))
  assert.equal(signatures.verifyAddress('PUT', '/attachments/a', same(query)), undefined)
})
