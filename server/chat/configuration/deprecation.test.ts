import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counters } from '../../kit/counters.ts'
import { silentLog } from '../../kit/log.ts'
import { chatEvents } from '../events.ts'
import { Deprecation, type DeprecationRules } from './deprecation.ts'

const NONE: DeprecationRules = {
  minimumVersions: {},
  blockedVersions: {},
  unrecognizedUserAgents: 'allowed',
}
const counters = new Counters()
const of = (rules: Partial<DeprecationRules>) =>
  Deprecation.of({ ...NONE, ...rules }, chatEvents(counters, silentLog))
const STRANGERS = [undefined, '', 'curl/8.0', 'Signal-Android/latest']

test('without a rule there is nobody to ask', () => {
  for (const rules of [{}, { blockedVersions: { ios: [] } }, { minimumVersions: { ios: undefined } }])
    assert.equal(of(rules), undefined)
})

test('a client older than the minimum of its platform is refused, and nobody else', () => {
  const deprecation = of({ minimumVersions: { android: '7.4.0', desktop: '7.4.0-beta.2' } })!
  const refused = [
    'Signal-Android/7.3.9',
    'Signal-Android/7.4.0-beta.1',
    'signal-android/7',
    'Signal-Desktop/7.4.0-beta.1',
  ]
  const served = [
    'Signal-Android/7.4.0',
    'Signal-Android/8.0.0',
    'Signal-Desktop/7.4.0-beta.2',
    'Signal-iOS/1.0.0',
  ]
  for (const userAgent of refused) assert.equal(deprecation.refuses(userAgent), true, userAgent)
  for (const userAgent of [...served, ...STRANGERS])
    assert.equal(deprecation.refuses(userAgent), false, userAgent)
})

test('a blocked version is refused, and its neighbours are not', () => {
  const deprecation = of({ blockedVersions: { ios: ['7.4.1', '7.5.0'] } })!
  for (const version of ['7.4.1', '7.5.0', '7.5', '7.4.1 iOS/17'])
    assert.equal(deprecation.refuses(`Signal-iOS/${version}`), true, version)
  for (const version of ['7.4.0', '7.4.2', '7.4.1-beta', '7.5.1'])
    assert.equal(deprecation.refuses(`Signal-iOS/${version}`), false, version)
  assert.equal(deprecation.refuses('Signal-Android/7.4.1'), false)
})

test('who is no client of ours is refused where the operator says so', () => {
  const deprecation = of({ unrecognizedUserAgents: 'refused' })!
  for (const userAgent of STRANGERS) assert.equal(deprecation.refuses(userAgent), true, userAgent)
  assert.equal(deprecation.refuses('Signal-Android/0.0.1'), false)
})

test('a verdict stays what it was, however many user agents are invented, and every refusal is counted', () => {
  const deprecation = of({ minimumVersions: { android: '7.0.0' } })!
  const before = counters.snapshot()['clients.refused'] ?? 0
  for (let number = 0; number < 3_000; number++) {
    assert.equal(deprecation.refuses(`Signal-Android/6.0.${number}`), true)
    assert.equal(deprecation.refuses('Signal-Android/7.0.0'), false)
  }
  assert.equal(counters.snapshot()['clients.refused'], before + 3_000)
})
