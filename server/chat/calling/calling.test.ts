import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { newAci } from '../../../test/sample-account.ts'
import { ManualClock } from '../../kit/clock.ts'
import { Counters } from '../../kit/counters.ts'
import { Limits } from '../../kit/limits.ts'
import { silentLog } from '../../kit/log.ts'
import { SeededRandom } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { chatEvents } from '../events.ts'
import { Calling, type RelayAddress } from './calling.ts'

const relay: RelayAddress = {
  urls: ['turn:turn.example.org', 'turns:turn.example.org:443?transport=tcp'],
  urlsWithIps: ['turn:192.0.2.1'],
  hostname: 'turn.example.org',
}
const survey = { startTimestamp: 1, endTimestamp: 2, callType: 'group', callEndReason: 'hangup' }

function open(relays: readonly RelayAddress[] = [relay]) {
  const clock = new ManualClock()
  const counters = new Counters()
  const limits = new Limits({ clock })
  const secret = Buffer.alloc(32, 7)
  const events = chatEvents(counters, silentLog)
  const random = new SeededRandom('calling')
  const calling = new Calling({ relays, ttl: 3600, secret, limits, clock, random, events })
  return { calling, clock, secret, counters }
}

const refusedAs = (kind: Refusal['kind'], field?: string) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind && error.detail.field === field

test('relays come with credentials that outlive what the client is told, and name nobody', async () => {
  const { calling, clock, secret } = open([relay, { urls: ['turn:b.example.org'], urlsWithIps: [] }])
  const aci = newAci()
  const [first, second] = await calling.relays({ aci })
  assert.deepEqual(
    [first!.urls, first!.urlsWithIps, first!.hostname, first!.ttl],
    [relay.urls, relay.urlsWithIps, relay.hostname, 3600],
  )
  assert.deepEqual([second!.username, second!.hostname], [first!.username, undefined])
  const [expires, id] = first!.username.split(':')
  assert.equal(Number(expires), clock.nowMs() / 1000 + 7200)
  assert.match(id!, /^[0-9a-f]{16}$/)
  const expected = createHmac('sha1', secret.toString('hex')).update(first!.username).digest('base64')
  assert.equal(first!.password, expected)
  const [again] = await calling.relays({ aci })
  assert.notEqual(again!.username, first!.username)
})

test('without configured relays the list is empty', async () => {
  assert.deepEqual(await open([]).calling.relays({ aci: newAci() }), [])
})

test('one account may ask for relays a hundred times at once', async () => {
  const { calling } = open()
  const aci = newAci()
  for (let count = 0; count < 100; count++) await calling.relays({ aci })
  await assert.rejects(calling.relays({ aci }), refusedAs('rate-limited'))
  assert.equal((await calling.relays({ aci: newAci() })).length, 1)
})

test('a survey is counted, whatever it says', async () => {
  const { calling, counters } = open()
  await calling.survey(survey, 'here')
  await calling.survey({ ...survey, callType: 'direct_voice' }, 'here')
  assert.deepEqual(counters.snapshot(), { 'calls.surveyed': 2 })
})

test('a survey that lacks something mandatory is refused, and not counted', async () => {
  const { calling, counters } = open()
  for (const [change, field] of [
    [{ startTimestamp: 0 }, 'start_timestamp'],
    [{ endTimestamp: 0 }, 'end_timestamp'],
    [{ callType: ' ' }, 'call_type'],
    [{ callEndReason: '' }, 'call_end_reason'],
  ] as const)
    await assert.rejects(calling.survey({ ...survey, ...change }, 'here'), refusedAs('invalid', field))
  assert.deepEqual(counters.snapshot(), {})
})

test('one address may send a hundred surveys at once', async () => {
  const { calling } = open()
  for (let count = 0; count < 100; count++) await calling.survey(survey, 'here')
  await assert.rejects(calling.survey(survey, 'here'), refusedAs('rate-limited'))
})
