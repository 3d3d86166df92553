import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptedProvider } from '../../test/push/scripted-provider.ts'
import { ManualClock } from '../kit/clock.ts'
import { Counters } from '../kit/counters.ts'
import { silentLog } from '../kit/log.ts'
import type { Push } from '../kit/push-gateway.ts'
import { pushEvents } from './events.ts'
import { Gateway } from './gateway.ts'

const push: Push = { to: { service: 'fcm', token: 't' }, notice: { kind: 'message', urgent: true } }

function open() {
  const clock = new ManualClock()
  const counters = new Counters()
  const turns: string[] = []
  const log = { ...silentLog, warn: () => turns.push('down'), info: () => turns.push('up') }
  const provider = new ScriptedProvider()
  const gateway = new Gateway({ providers: [provider], clock, events: pushEvents(counters, log) })
  return { clock, counters, turns, provider, gateway }
}

test('a push goes to the provider of its address, and there may be none', async () => {
  const { gateway, provider } = open()
  assert.deepEqual(await gateway.push(push), { kind: 'sent' })
  assert.deepEqual(provider.pushes, [{ token: 't', notice: push.notice }])
  const other: Push = { ...push, to: { service: 'apn', token: 't' } }
  assert.deepEqual(await gateway.push(other), { kind: 'unserved' })
})

test('a provider that does not work is spared, and said to be down once', async () => {
  const { gateway, provider, clock, turns, counters } = open()
  const broken = { kind: 'later', afterMs: 0, broken: true, reason: 'ECONNREFUSED' } as const
  provider.answers.push(...Array.from({ length: 5 }, () => broken))
  for (let count = 0; count < 5; count++)
    assert.deepEqual(await gateway.push(push), { kind: 'later', afterMs: 0, reason: 'ECONNREFUSED' })
  assert.deepEqual(await gateway.push(push), { kind: 'later', afterMs: 2_000, untried: true })
  assert.equal(provider.pushes.length, 5)
  assert.deepEqual(await gateway.health(), [{ provider: 'fcm', state: 'down', reason: 'ECONNREFUSED' }])
  clock.advance(2_000)
  assert.deepEqual(await gateway.push(push), { kind: 'sent' })
  assert.deepEqual(await gateway.health(), [{ provider: 'fcm', state: 'up', reason: undefined }])
  assert.deepEqual(turns, ['down', 'up'])
  assert.equal(counters.snapshot()['push.fcm.later'], 5)
})

test('a provider that asks for patience works', async () => {
  const { gateway, provider } = open()
  provider.answers.push(...Array.from({ length: 20 }, () => ({ kind: 'later', afterMs: 9 }) as const))
  for (let count = 0; count < 20; count++) await gateway.push(push)
  assert.equal(provider.pushes.length, 20)
})
