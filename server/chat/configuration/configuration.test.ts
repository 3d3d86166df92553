import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { Aci } from '../../../wire/types.ts'
import { Configuration, etagOf, matches } from './configuration.ts'
import type { Rollout, Setting } from './rollout.ts'

const newAci = () => randomUUID() as Aci
const ACI = newAci()
const rollout = (change: Partial<Rollout>): Rollout => change
const valuesOf = (settings: Readonly<Record<string, Setting>>, aci = ACI, userAgent?: string) =>
  new Configuration(settings).for(aci, userAgent).values

const etag = etagOf(new Configuration({ 'global.one': 'yes', 'global.two': 'no' }).for(ACI, undefined))

test('a client that names the tag in any form of RFC 9110 is up to date', () => {
  const forms = [`"${etag}"`, `W/"${etag}"`, etag, `"old", "${etag}"`, `W/"old",W/"${etag}"`, ` "${etag}" `]
  for (const form of forms) assert.equal(matches(etag, form), true, form)
})

test('a client that names another tag, or none, is not up to date', () => {
  const forms = [undefined, '', '""', 'W/""', '"old"', `"${etag}x"`, `"${etag.slice(1)}"`, `"${etag}" "x"`]
  for (const form of forms) assert.equal(matches(etag, form), false, form)
})

test('a client that takes whatever there is, is up to date', () => {
  assert.equal(matches(etag, '*'), true)
})

test('the tag is that of the values: the same for the same in any order, another for others', () => {
  const tagOf = (settings: Readonly<Record<string, Setting>>) =>
    etagOf(new Configuration(settings).for(newAci(), undefined))
  assert.equal(tagOf({ 'global.two': 'no', 'global.one': 'yes' }), etag)
  assert.equal(tagOf({ 'global.one': rollout({ value: 'yes' }), 'global.two': 'no' }), etag)
  assert.notEqual(tagOf({ 'global.one': 'yes' }), etag)
  assert.notEqual(tagOf({ 'global.one': 'yes', 'global.two': 'yes' }), etag)
})

test('a name that begins with a platform is for clients of that platform', () => {
  const settings = { 'android.a': '1', 'ios.a': '2', 'desktop.a': '3', 'global.a': '4', androidx: '5' }
  const everybody = { 'global.a': '4', androidx: '5' }
  assert.deepEqual(valuesOf(settings, ACI, 'Signal-Android/7.0.0'), { 'android.a': '1', ...everybody })
  assert.deepEqual(valuesOf(settings, ACI, 'Signal-iOS/7.0.0 iOS/17'), { 'ios.a': '2', ...everybody })
  assert.deepEqual(valuesOf(settings, ACI, 'Signal-Desktop/7.0.0'), { 'desktop.a': '3', ...everybody })
  for (const userAgent of [undefined, 'curl/8', 'Signal-Web/1.0.0'])
    assert.deepEqual(valuesOf(settings, ACI, userAgent), everybody)
})

test('a setting may be for some platforms', () => {
  const settings = { 'global.a': rollout({ value: 'x', platforms: ['ios', 'desktop'] }) }
  assert.deepEqual(valuesOf(settings, ACI, 'Signal-iOS/7.0.0'), { 'global.a': 'x' })
  for (const userAgent of ['Signal-Android/7.0.0', undefined])
    assert.deepEqual(valuesOf(settings, ACI, userAgent), {})
})

test('who is within gets the value, the others the default; without them it is true and false', () => {
  const cases: [Partial<Rollout>, string][] = [
    [{ value: 'x', defaultValue: 'y' }, 'x'],
    [{ value: 'x', defaultValue: 'y', percentage: 0 }, 'y'],
    [{ value: 'x', defaultValue: 'y', percentage: 0, uuids: [newAci(), ACI] }, 'x'],
    [{}, 'true'],
    [{ percentage: 0 }, 'false'],
    [{ percentage: 0, value: 'x' }, 'false'],
    [{ percentage: 100, defaultValue: 'y' }, 'true'],
  ]
  for (const [change, expected] of cases)
    assert.deepEqual(valuesOf({ one: rollout(change) }), { one: expected }, JSON.stringify(change))
})

test("an account's bucket is Signal's: the first eight bytes of SHA-256 over id and key, without sign, modulo 100", () => {
  for (let round = 0; round < 50; round++) {
    const aci = newAci()
    const id = Buffer.from(aci.replaceAll('-', ''), 'hex')
    const number = createHash('sha256').update(id).update('some.key').digest().readBigInt64BE(0)
    const bucket = Number((number < 0n ? -number : number) % 100n)
    for (const [percentage, expected] of [
      [bucket, 'false'],
      [bucket + 1, 'true'],
    ] as const) {
      assert.deepEqual(valuesOf({ 'some.key': rollout({ percentage }) }, aci), { 'some.key': expected })
      const other = { other: rollout({ percentage, hashKey: 'some.key' }) }
      assert.deepEqual(valuesOf(other, aci), { other: expected })
    }
  }
})

test('a percentage is that share of the accounts, and keeps those it had as it grows', () => {
  const accounts = Array.from({ length: 1_000 }, newAci)
  const within = (percentage: number) =>
    new Set(accounts.filter((aci) => valuesOf({ one: rollout({ percentage }) }, aci)['one'] === 'true'))
  const [some, more] = [within(20), within(60)]
  assert.ok(some.size > 120 && some.size < 280, `${some.size} of 1000`)
  assert.ok(more.size > 520 && more.size < 680, `${more.size} of 1000`)
  for (const aci of some) assert.ok(more.has(aci))
})
