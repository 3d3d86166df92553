import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WebPushService } from '../../../test/push/web-push-service.ts'
import { systemClock } from '../../kit/clock.ts'
import type { Notice, WebSubscription } from '../../kit/push-gateway.ts'
import { Reach } from '../../kit/reach.ts'
import { newVapidKeys } from '../../kit/vapid-keys.ts'
import { WebPush } from './web-push.ts'

const urgent: Notice = { kind: 'message', urgent: true }

async function open(t: TestContext, allowed: readonly string[] = ['localhost']) {
  const service = await WebPushService.open(t)
  const keys = newVapidKeys()
  service.restrictTo(keys.publicKey)
  const reach = new Reach(allowed)
  const provider = new WebPush({
    ...{ keys, reach, clock: systemClock, ca: service.ca },
    contact: 'mailto:a@example.org',
  })
  const push = (subscription: WebSubscription, notice = urgent) =>
    provider.push({ service: 'web', subscription }, notice)
  return { service, push }
}

test('a push is taken by a service that looks at everything, and says what Signal’s clients read', async (t) => {
  const { service, push } = await open(t)
  const subscription = service.subscribe()
  const notices: Notice[] = [
    urgent,
    { kind: 'message', urgent: false },
    { kind: 'challenge', value: 'ab12' },
    { kind: 'rateLimitChallenge', value: 'cd34' },
    { kind: 'attemptLogin', value: '1' },
    { kind: 'verificationCode', atMs: 17 },
  ]
  for (const notice of notices) assert.deepEqual(await push(subscription, notice), { kind: 'sent' })
  assert.deepEqual(service.faults, [])
  const days = 28 * 86_400
  assert.deepEqual(
    service.received.map(({ text, urgency, topic, ttlS }) => [text, urgency, topic, ttlS]),
    [
      ['{"newMessageAlert":""}', 'high', 'message', days],
      ['{"newMessageAlert":""}', 'normal', 'message', days],
      ['{"challenge":"ab12"}', 'high', undefined, 300],
      ['{"rateLimitChallenge":"cd34"}', 'high', undefined, 300],
      ['{"attemptLoginContext":"1"}', 'high', undefined, 300],
      ['{"verificationCodeRequested":"{\\"timestamp\\":17}"}', 'high', undefined, 600],
    ],
  )
})

test('two pushes that say the same do not look the same', async (t) => {
  const { service, push } = await open(t)
  const subscription = service.subscribe()
  await push(subscription)
  await push(subscription)
  const [first, second] = service.received
  assert.equal(first!.bytes.length, second!.bytes.length)
  assert.ok(!first!.bytes.equals(second!.bytes))
})

test('who gave no keys is told nothing but that there is something', async (t) => {
  const { service, push } = await open(t)
  assert.deepEqual(await push(service.subscribe(false)), { kind: 'sent' })
  assert.equal(service.received[0]!.bytes.length, 0)
})

test('what a service answers is understood', async (t) => {
  const { service, push } = await open(t)
  const subscription = service.subscribe()
  for (const [status, expected, headers] of [
    [404, { kind: 'unregistered' }],
    [410, { kind: 'unregistered' }],
    [400, { kind: 'refused', reason: 'status 400' }],
    [403, { kind: 'refused', reason: 'status 403' }],
    [413, { kind: 'refused', reason: 'status 413' }],
    [429, { kind: 'later', afterMs: 7_000 }, { 'retry-after': '7' }],
    [500, { kind: 'later', afterMs: 0 }],
    [503, { kind: 'later', afterMs: 9_000 }, { 'retry-after': '9' }],
  ] as const) {
    service.answers.push({ status, ...(headers && { headers }) })
    assert.deepEqual(await push(subscription), expected, String(status))
  }
})

test('S1: a redirect is not followed', async (t) => {
  const { service, push } = await open(t)
  const elsewhere = await WebPushService.open(t)
  for (const status of [301, 302, 307, 308]) {
    service.answers.push({ status, headers: { location: elsewhere.subscribe().endpoint } })
    assert.equal((await push(service.subscribe())).kind, 'refused')
  }
  assert.equal(elsewhere.requests, 0)
})

test('S1: nothing inside is asked, by its address or by a name for it', async (t) => {
  const { service, push } = await open(t, [])
  const { endpoint, keys } = service.subscribe()
  const { port, pathname } = new URL(endpoint)
  for (const host of ['localhost', '127.0.0.1', '2130706433', '[::ffff:127.0.0.1]', 'localhost.'])
    assert.deepEqual(await push({ endpoint: `https://${host}:${port}${pathname}`, keys }), {
      kind: 'refused',
      reason: 'out of reach',
    })
  assert.equal(service.requests, 0)
})

test('S1: a name that comes to mean this host after it was looked at is not asked', async (t) => {
  const service = await WebPushService.open(t)
  const reach = new Reach([])
  // The name passes as it stands, and what it means is found only by the connection.
  reach.admits = () => true
  const provider = new WebPush({
    ...{ keys: newVapidKeys(), reach, clock: systemClock, ca: service.ca },
    contact: 'mailto:a@example.org',
  })
  const pushed = await provider.push({ service: 'web', subscription: service.subscribe() }, urgent)
  assert.deepEqual(pushed, { kind: 'refused', reason: 'out of reach' })
  assert.equal(service.requests, 0)
})

test('an address that is none, or not by TLS, is refused', async (t) => {
  const { push } = await open(t)
  for (const endpoint of ['http://localhost/a', 'no address', 'file:///etc/passwd', 'javascript:1'])
    assert.equal((await push({ endpoint, keys: undefined })).kind, 'refused', endpoint)
})

test('keys that are no keys are refused, and harm nobody', async (t) => {
  const { service, push } = await open(t)
  const { endpoint } = service.subscribe()
  for (const p256dh of [Buffer.alloc(65), Buffer.alloc(65, 4), Buffer.alloc(3)])
    assert.equal((await push({ endpoint, keys: { p256dh, auth: Buffer.alloc(16) } })).kind, 'refused')
  assert.equal(service.requests, 0)
})

test('a server that is down is left alone, and others are not', async (t) => {
  const { service, push } = await open(t)
  const down = { endpoint: 'https://localhost:1/a', keys: undefined }
  const outcomes = []
  for (let count = 0; count < 6; count++) outcomes.push(await push(down))
  assert.deepEqual(outcomes[0], { kind: 'later', afterMs: 0 })
  const last = outcomes.at(-1)!
  assert.ok(last.kind === 'later' && last.afterMs > 0)
  assert.deepEqual(await push(service.subscribe()), { kind: 'sent' })
})
