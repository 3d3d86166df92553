import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Apple } from '../../../test/push/apple.ts'
import type { StandInOptions } from '../../../test/push/provider-stand-in.ts'
import { makeAuthority, makeKey } from '../../kit/certificate-maker.ts'
import { ManualClock } from '../../kit/clock.ts'
import { push as pushConfig } from '../../kit/config-push.ts'
import type { Notice } from '../../kit/push-gateway.ts'
import { newVapidKeys } from '../../kit/vapid-keys.ts'
import { openProviders } from '../providers.ts'

const urgent: Notice = { kind: 'message', urgent: true }
const MINUTE_MS = 60_000
const PHONE = 'a1'.repeat(32)
const GONE = 'b2'.repeat(32)
const START_S = Date.UTC(2026, 0, 1) / 1000

type Options = StandInOptions & { byCertificate?: boolean }

async function open(t: TestContext, { byCertificate = false, ...options }: Options = {}) {
  const clock = new ManualClock()
  const apple = await Apple.open(clock, options)
  const { keyFile, keyId, teamId, topic, files } = apple
  const caFile = join(files.folder, 'ca.pem')
  writeFileSync(caFile, files.caPem)
  const identity = byCertificate ? certify(apple) : { keyFile, keyId, teamId }
  const config = pushConfig.parse({
    web: { enabled: 'off' },
    apns: { ...identity, topic, url: apple.origin, caFile },
  })
  const [provider] = await openProviders(config, { clock, secrets: { vapid: newVapidKeys() } })
  t.after(async () => {
    await provider!.close()
    await apple.close()
  })
  apple.devices.set(PHONE, 'registered')
  const push = (token = PHONE, notice = urgent) => provider!.push({ service: 'apn', token } as never, notice)
  return { clock, apple, push }
}

function certify(apple: Apple) {
  const key = makeKey()
  const cert = makeAuthority(createPrivateKey(key), Date.now())
  apple.fingerprint = new X509Certificate(cert).fingerprint256
  const [keyFile, certificateFile] = ['tls.key', 'tls.pem'].map((name) => join(apple.files.folder, name))
  writeFileSync(keyFile!, key)
  writeFileSync(certificateFile!, cert)
  return { keyFile, certificateFile }
}

test('each push is exactly these bytes and headers, and Apple takes them', async (t) => {
  const { apple, push } = await open(t)
  const notices: Notice[] = [
    urgent,
    { kind: 'message', urgent: false },
    { kind: 'challenge', value: 'ab12' },
    { kind: 'rateLimitChallenge', value: 'cd34' },
    { kind: 'attemptLogin', value: '1' },
    { kind: 'verificationCode', atMs: 17 },
  ]
  for (const notice of notices) assert.deepEqual(await push(PHONE, notice), { kind: 'sent' })
  const headers = (type: string, priority: string, keptS = 30 * 86_400) => ({
    'apns-topic': apple.topic,
    'apns-push-type': type,
    'apns-priority': priority,
    'apns-expiration': String(START_S + keptS),
  })
  const alert = '{"aps":{"mutable-content":1,"alert":{"loc-key":"APN_Message"}}'
  const background = '{"aps":{"content-available":1}'
  assert.deepEqual(
    apple.pushes.map((taken) => [taken.token, taken.bytes, taken.headers]),
    [
      [PHONE, `${alert}}`, { ...headers('alert', '10'), 'apns-collapse-id': 'incoming-message' }],
      [PHONE, `${background}}`, headers('background', '5')],
      [PHONE, `${background},"challenge":"ab12"}`, headers('background', '5')],
      [PHONE, `${background},"rateLimitChallenge":"cd34"}`, headers('background', '5')],
      [PHONE, `${alert},"attemptLoginContext":"1"}`, headers('alert', '10')],
      [PHONE, `${alert},"verificationCodeRequested":{"timestamp":17}}`, headers('alert', '10', 600)],
    ],
  )
  assert.equal(apple.connections, 1)
  assert.equal(apple.tokensSeen, 1)
})

test('a certificate takes the place of tokens', async (t) => {
  const { apple, push } = await open(t, { byCertificate: true })
  assert.deepEqual(await push(), { kind: 'sent' })
  assert.equal(apple.tokensSeen, 0)
  apple.fingerprint = 'of another one'
  assert.deepEqual(await push(), { kind: 'later', afterMs: 0, broken: true, reason: 'BadCertificate' })
})

test('what Apple answers is understood', async (t) => {
  const { apple, push } = await open(t)
  apple.devices.set(GONE, { goneSinceMs: 1234 }).set('c3'.repeat(32), 'other topic')
  assert.deepEqual(await push(GONE), { kind: 'unregistered', sinceMs: 1234 })
  assert.deepEqual(await push('no token/../of anybody'), { kind: 'unregistered', sinceMs: undefined })
  assert.deepEqual(await push('c3'.repeat(32)), { kind: 'refused', reason: 'DeviceTokenNotForTopic' })
  for (const [status, reason, expected, retryAfter] of [
    [410, 'ExpiredToken', { kind: 'unregistered', sinceMs: undefined }],
    [413, 'PayloadTooLarge', { kind: 'refused', reason: 'PayloadTooLarge' }],
    [404, 'BadPath', { kind: 'refused', reason: 'BadPath' }],
    [429, 'TooManyRequests', { kind: 'later', afterMs: 0, reason: 'TooManyRequests' }],
    [429, 'TooManyRequests', { kind: 'later', afterMs: 8_000, reason: 'TooManyRequests' }, '8'],
    [
      429,
      'TooManyProviderTokenUpdates',
      { kind: 'later', afterMs: 60_000, reason: 'TooManyProviderTokenUpdates' },
    ],
    [500, 'InternalServerError', { kind: 'later', afterMs: 0, broken: true, reason: 'InternalServerError' }],
    [
      503,
      'ServiceUnavailable',
      { kind: 'later', afterMs: 3_000, broken: true, reason: 'ServiceUnavailable' },
      '3',
    ],
    [
      403,
      'InvalidProviderToken',
      { kind: 'later', afterMs: 0, broken: true, reason: 'InvalidProviderToken' },
    ],
    [400, 'token +1555', { kind: 'refused', reason: 'status 400' }],
  ] as const) {
    const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
    apple.faults.push({ status, headers, body: { reason } })
    assert.deepEqual(await push(), expected, reason)
  }
})

test('a connection that Apple is about to end is used no more', async (t) => {
  const { apple, push } = await open(t)
  await push()
  apple.faults.push({ status: 503, body: { reason: 'Shutdown' } })
  assert.deepEqual(await push(), { kind: 'later', afterMs: 0, broken: true, reason: 'Shutdown' })
  assert.deepEqual(await push(), { kind: 'sent' })
  assert.equal(apple.connections, 2)
})

test('a token is used for at least twenty minutes and never for an hour', async (t) => {
  const { clock, apple, push } = await open(t)
  for (let minute = 0; minute < 300; minute += 7) {
    assert.deepEqual(await push(), { kind: 'sent' }, `${minute} minutes`)
    clock.advance(7 * MINUTE_MS)
  }
  assert.deepEqual(apple.complaints, [])
  assert.ok(apple.tokensSeen >= 5 && apple.tokensSeen <= 6, `${apple.tokensSeen} tokens`)
})

test('a token that is too old for Apple is renewed, once, and its pushes go out', async (t) => {
  const { clock, apple, push } = await open(t)
  await push()
  // The host slept: Apple's time went on, and ours did not.
  clock.advance(25 * MINUTE_MS)
  clock.set(clock.nowMs() + 40 * MINUTE_MS)
  const pushed = await Promise.all(Array.from({ length: 20 }, () => push()))
  assert.ok(pushed.every(({ kind }) => kind === 'sent'))
  assert.equal(apple.tokensSeen, 2)
  apple.faults.push({ status: 403, body: { reason: 'ExpiredProviderToken' } })
  assert.deepEqual(
    await push(),
    { kind: 'later', afterMs: 0, broken: true, reason: 'ExpiredProviderToken' },
    'Apple allows no other so soon',
  )
  assert.equal(apple.tokensSeen, 2)
})

test('Apple allows one stream until it knows who asks, and then many', async (t) => {
  const { apple, push } = await open(t, { untilTrusted: 1, maxStreams: 50 })
  apple.faults.push(undefined)
  const pushed = await Promise.all(Array.from({ length: 200 }, () => push()))
  assert.ok(pushed.every(({ kind }) => kind === 'sent'))
  assert.equal(apple.pushes.length, 200)
  assert.ok(apple.mostAtOnce > 1 && apple.mostAtOnce <= 50, String(apple.mostAtOnce))
})
