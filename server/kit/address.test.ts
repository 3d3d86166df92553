import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callerAddress, isLoopback, limiterAddress } from './address.ts'

const cases: Record<string, [string, string][]> = {
  'IPv4 is its own key': [
    ['127.0.0.1', '127.0.0.1'],
    ['203.0.113.9', '203.0.113.9'],
  ],
  'IPv4 inside IPv6 is that IPv4, however written': [
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['0:0:0:0:0:ffff:203.0.113.9', '203.0.113.9'],
    ['64:ff9b::203.0.113.9', '203.0.113.9'],
  ],
  'IPv6 is cut to its /64, however written': [
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8::/64'],
    ['2001:db8:0:7::1', '2001:db8:0:7::/64'],
    ['0:0:1:0:5::', '0:0:1::/64'],
    ['::1', '::/64'],
    ['::', '::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
  ],
  'what is no address shares one key': [
    ['', 'unknown'],
    ['evil', 'unknown'],
    ['1.2.3.4, 5.6.7.8', 'unknown'],
    ['256.1.1.1', 'unknown'],
    ['[::1]', 'unknown'],
  ],
}

for (const [name, pairs] of Object.entries(cases)) {
  test(name, () => {
    for (const [address, key] of pairs) assert.equal(limiterAddress(address), key, address)
  })
}

test('who asks is known by the connection, whatever headers say', () => {
  const headers = {
    'x-forwarded-for': '203.0.113.9',
    forwarded: 'for=203.0.113.9',
    'x-real-ip': '203.0.113.9',
  }
  assert.equal(callerAddress({ socket: { remoteAddress: '::ffff:192.0.2.1' }, headers }), '192.0.2.1')
  assert.equal(callerAddress({ socket: { remoteAddress: '2001:db8::7' }, headers }), '2001:db8::/64')
  assert.equal(callerAddress({ socket: undefined, headers }), 'unknown')
})

test('this host is known by its own addresses, and by no others', () => {
  for (const own of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1'])
    assert.ok(isLoopback(limiterAddress(own)), own)
  for (const other of ['128.0.0.1', '12.7.0.1', '2001:db8::1', '0:0:0:1::1', 'evil', ''])
    assert.ok(!isLoopback(limiterAddress(other)), other)
})
