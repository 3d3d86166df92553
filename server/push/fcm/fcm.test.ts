import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { failure, Google } from '../../../test/push/google.ts'
import { ManualClock } from '../../kit/clock.ts'
import { loadConfig } from '../../kit/config.ts'
import type { Notice } from '../../kit/push-gateway.ts'
import { newVapidKeys } from '../../kit/vapid-keys.ts'
import { openProviders } from '../providers.ts'

const urgent: Notice = { kind: 'message', urgent: true }
const MINUTE_MS = 60_000

async function open(t: TestContext, options: { maxStreams?: number } = {}) {
  const clock = new ManualClock()
  const google = await Google.open(clock, options)
  const { web } = loadConfig(undefined).push
  const caFile = `${google.files.folder}/ca.pem`
  const { writeFileSync } = await import('node:fs')
  writeFileSync(caFile, google.files.caPem)
  const fcm = { serviceAccountFile: google.accountFile, url: google.origin, caFile }
  const [provider] = await openProviders(
    { web: { ...web, enabled: 'off' }, fcm },
    { clock, secrets: { vapid: newVapidKeys() } },
  )
  t.after(async () => {
    await provider!.close()
    await google.close()
  })
  for (const token of ['phone', 'other']) google.devices.set(token, 'registered')
  const push = (token = 'phone', notice = urgent) =>
    provider!.push({ service: 'fcm', token } as never, notice)
  return { clock, google, push, provider: provider! }
}

test('each push is exactly these bytes, and Google takes them', async (t) => {
  const { google, push } = await open(t)
  const notices: Notice[] = [
    urgent,
    { kind: 'message', urgent: false },
    { kind: 'challenge', value: 'ab12' },
    { kind: 'rateLimitChallenge', value: 'cd34' },
    { kind: 'attemptLogin', value: '1' },
    { kind: 'verificationCode', atMs: 17 },
  ]
  for (const notice of notices) assert.deepEqual(await push('phone', notice), { kind: 'sent' })
  const bytes = (data: string, priority = 'HIGH', ttl = '2419200s') =>
    `{"message":{"token":"phone","data":{${data}},"android":{"priority":"${priority}","ttl":"${ttl}"}}}`
  assert.deepEqual(
    google.pushes.map((push) => push.bytes),
    [
      bytes('"newMessageAlert":""'),
      bytes('"newMessageAlert":""', 'NORMAL'),
      bytes('"challenge":"ab12"'),
      bytes('"rateLimitChallenge":"cd34"'),
      bytes('"attemptLoginContext":"1"'),
      bytes('"verificationCodeRequested":"{\\"timestamp\\":17}"', 'HIGH', '600s'),
    ],
  )
  assert.deepEqual(google.complaints, [])
  assert.equal(google.connections, 1)
  assert.equal(google.tokensGiven, 1)
})

test('what Google answers is understood', async (t) => {
  const { google, push } = await open(t)
  google.devices.set('gone', 'unregistered').set('of another app', 'other sender')
  assert.deepEqual(await push('gone'), { kind: 'unregistered' })
  assert.deepEqual(await push('unknown'), { kind: 'refused', reason: 'INVALID_ARGUMENT' })
  assert.deepEqual(await push('of another app'), { kind: 'refused', reason: 'SENDER_ID_MISMATCH' })
  const wait = (seconds: string, reply: ReturnType<typeof failure>) => ({
    ...reply,
    headers: { 'retry-after': seconds },
  })
  const quota = failure(429, 'RESOURCE_EXHAUSTED', '', 'QUOTA_EXCEEDED')
  const unavailable = failure(503, 'UNAVAILABLE', '', 'UNAVAILABLE')
  for (const [reply, expected] of [
    [wait('7', quota), { kind: 'later', afterMs: 7_000, reason: 'QUOTA_EXCEEDED' }],
    [quota, { kind: 'later', afterMs: 60_000, reason: 'QUOTA_EXCEEDED' }],
    [wait('9', unavailable), { kind: 'later', afterMs: 9_000, broken: true, reason: 'UNAVAILABLE' }],
    [
      failure(500, 'INTERNAL', '', 'INTERNAL'),
      { kind: 'later', afterMs: 0, broken: true, reason: 'INTERNAL' },
    ],
    [{ status: 502 }, { kind: 'later', afterMs: 0, broken: true, reason: 'status 502' }],
    [failure(400, 'INVALID_ARGUMENT', ''), { kind: 'refused', reason: 'INVALID_ARGUMENT' }],
    [
      failure(401, 'UNAUTHENTICATED', '', 'THIRD_PARTY_AUTH_ERROR'),
      { kind: 'refused', reason: 'THIRD_PARTY_AUTH_ERROR' },
    ],
    [failure(400, 'phone +15551234', ''), { kind: 'refused', reason: 'status 400' }],
  ] as const) {
    google.faults.push(reply)
    assert.deepEqual(await push(), expected)
  }
})

test('a project that is not there, or not ours, loses no token and no wake-up', async (t) => {
  const { google, push } = await open(t)
  for (const [status, word] of [
    [404, 'NOT_FOUND'],
    [403, 'PERMISSION_DENIED'],
  ] as const) {
    google.faults.push(failure(status, word, ''))
    assert.deepEqual(await push(), { kind: 'later', afterMs: 0, broken: true, reason: word })
  }
})

test('a token is renewed before its end, while pushes go on with the old one', async (t) => {
  const { clock, google, push } = await open(t)
  await push()
  clock.advance(49 * MINUTE_MS)
  await push()
  assert.equal(google.tokensGiven, 1)
  const { promise, resolve } = Promise.withResolvers<void>()
  google.tokenGate = promise
  clock.advance(2 * MINUTE_MS)
  assert.deepEqual(await Promise.all([push(), push()]), [{ kind: 'sent' }, { kind: 'sent' }])
  assert.equal(google.tokensGiven, 1)
  resolve()
  clock.advance(9 * MINUTE_MS)
  assert.deepEqual(await push(), { kind: 'sent' })
  assert.equal(google.tokensGiven, 2)
})

test('however many pushes wait, one asks for a token', async (t) => {
  const { google, push } = await open(t)
  const pushed = await Promise.all(Array.from({ length: 50 }, () => push()))
  assert.ok(pushed.every(({ kind }) => kind === 'sent'))
  assert.equal(google.tokensGiven, 1)
})

test('a token that is refused is renewed once, and its pushes go out', async (t) => {
  const { clock, google, push } = await open(t)
  await push()
  clock.advance(MINUTE_MS)
  google.revoke()
  const pushed = await Promise.all(Array.from({ length: 20 }, () => push()))
  assert.ok(pushed.every(({ kind }) => kind === 'sent'))
  assert.equal(google.tokensGiven, 2)
  google.faults.push(failure(401, 'UNAUTHENTICATED', ''))
  assert.deepEqual(await push(), { kind: 'later', afterMs: 0, broken: true, reason: 'UNAUTHENTICATED' })
  assert.equal(google.tokensGiven, 2, 'a new one was refused: another would be, too')
})

test('a service account that Google does not know is told in Google’s word', async (t) => {
  const { google, push } = await open(t)
  google.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant', error_description: 'secret' } })
  assert.deepEqual(await push(), { kind: 'later', afterMs: 0, broken: true, reason: 'invalid_grant' })
  google.tokenAnswers.push({ status: 500, body: 'x' })
  assert.deepEqual(await push(), { kind: 'later', afterMs: 0, broken: true, reason: 'status 500' })
  assert.deepEqual(await push(), { kind: 'sent' })
})
