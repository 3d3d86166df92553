import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../kit/clock.ts'
import { Pressure, rangeOf } from './pressure.ts'

const CALM = { calmPerRange: 10, calmInAll: 100 }

test('a range is an IPv4 /24 or an IPv6 /48, and what is no address is one of its own', () => {
  assert.equal(rangeOf('192.0.2.77'), '192.0.2/24')
  assert.equal(rangeOf('2001:db8:7:9::/64'), rangeOf('2001:db8:7::/64'))
  assert.notEqual(rangeOf('2001:db8:7:9::/64'), rangeOf('2001:db8:8:9::/64'))
  assert.equal(rangeOf('2001::/64'), '2001::/48')
  assert.equal(rangeOf('::/64'), '::/48')
  assert.equal(rangeOf('unknown'), 'unknown')
})

test('the factor follows the count of a range, and fades with time', () => {
  const clock = new ManualClock()
  const pressure = new Pressure({ clock, ...CALM })
  const factors = Array.from({ length: 80 }, () => {
    pressure.asked('192.0.2.1')
    return pressure.factor('192.0.2.2')
  })
  assert.deepEqual([factors[8], factors[9], factors[19], factors[39], factors[79]], [1, 2, 4, 8, 16])
  assert.equal(pressure.factor('198.51.100.1'), 1)
  clock.advance(600_000)
  assert.equal(pressure.factor('192.0.2.1'), 8)
  clock.advance(3_600_000)
  assert.equal(pressure.factor('192.0.2.1'), 1)
})

test('when everybody together asks for much, everybody has more work', () => {
  const pressure = new Pressure({ clock: new ManualClock(), ...CALM })
  for (let i = 0; i < 100; i++) pressure.asked(`10.0.${i}.1`)
  assert.equal(pressure.factor('203.0.113.1'), 2)
})

test('a failure weighs as three that ask', () => {
  const pressure = new Pressure({ clock: new ManualClock(), ...CALM })
  for (let i = 0; i < 3; i++) pressure.failed('192.0.2.1')
  assert.equal(pressure.factor('192.0.2.1'), 1)
  pressure.failed('192.0.2.1')
  assert.equal(pressure.factor('192.0.2.1'), 2)
})
