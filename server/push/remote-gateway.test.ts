import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { openOwnDoor } from '../../test/door.ts'
import { ScriptedProvider } from '../../test/push/scripted-provider.ts'
import { systemClock } from '../kit/clock.ts'
import { Counters } from '../kit/counters.ts'
import { silentLog } from '../kit/log.ts'
import type { Push } from '../kit/push-gateway.ts'
import { pushEvents } from './events.ts'
import { Gateway } from './gateway.ts'
import { RemoteGateway } from './remote-gateway.ts'
import { pushRest } from './rest.ts'

const pushTo = (token: string): Push => ({
  to: { service: 'fcm', token },
  notice: { kind: 'message', urgent: true },
})

async function open(t: TestContext) {
  const counters = new Counters()
  const events = pushEvents(counters, silentLog)
  const provider = new ScriptedProvider()
  const gateway = new Gateway({ providers: [provider], clock: systemClock, events })
  const { url, caPemFile, close } = await openOwnDoor(t, pushRest(gateway, 'the secret', events))
  const ca = readFileSync(caPemFile, 'utf8')
  const remote = (secret = 'the secret') => new RemoteGateway({ url, secret, ca, clock: systemClock })
  return { provider, counters, remote, close }
}

test('pushes to another process come back with what became of each', async (t) => {
  const { provider, remote } = await open(t)
  provider.answers.push({ kind: 'sent' }, { kind: 'unregistered', sinceMs: 7 }, { kind: 'later', afterMs: 5 })
  const far = remote()
  const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map((token) => far.push(pushTo(token))))
  assert.deepEqual(outcomes, [
    { kind: 'sent' },
    { kind: 'unregistered', sinceMs: 7 },
    { kind: 'later', afterMs: 5 },
    { kind: 'sent' },
  ])
  assert.deepEqual(
    provider.pushes.map(({ token }) => token),
    ['a', 'b', 'c', 'd'],
  )
  assert.deepEqual(await far.health(), [{ provider: 'fcm', state: 'up' }])
})

test('every sort of push arrives as it was sent', async (t) => {
  const { provider, remote } = await open(t)
  const notices: Push['notice'][] = [
    { kind: 'message', urgent: false },
    { kind: 'challenge', value: 'ab' },
    { kind: 'rateLimitChallenge', value: 'cd' },
    { kind: 'attemptLogin', value: '1' },
    { kind: 'verificationCode', atMs: 3 },
  ]
  const far = remote()
  for (const notice of notices) await far.push({ to: { service: 'fcm', token: 't' }, notice })
  assert.deepEqual(
    provider.pushes.map(({ notice }) => notice),
    notices,
  )
  const keys = { p256dh: Buffer.alloc(65, 4), auth: Buffer.alloc(16, 5) }
  const web: Push = { ...pushTo('t'), to: { service: 'web', subscription: { endpoint: 'https://a', keys } } }
  assert.deepEqual(await far.push(web), { kind: 'unserved' })
})

test('many at once go, none twice', async (t) => {
  const { provider, remote } = await open(t)
  const tokens = Array.from({ length: 2_000 }, (_, index) => `t${index}`)
  const far = remote()
  const outcomes = await Promise.all(tokens.map((token) => far.push(pushTo(token))))
  assert.ok(outcomes.every(({ kind }) => kind === 'sent'))
  assert.deepEqual(provider.pushes.map(({ token }) => token).sort(), tokens.sort())
})

test('who does not know the secret pushes nothing', async (t) => {
  const { provider, remote, counters } = await open(t)
  assert.deepEqual(await remote('another').push(pushTo('a')), { kind: 'later', afterMs: 1_000 })
  await assert.rejects(remote('another').health(), /the gateway answered 401/)
  assert.deepEqual(provider.pushes, [])
  assert.equal(counters.snapshot()['push.intruded'], 2)
})

test('while the other process is away pushes have to wait', async (t) => {
  const { remote, close } = await open(t)
  await close()
  assert.deepEqual(await remote().push(pushTo('a')), { kind: 'later', afterMs: 1_000 })
})
