import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OUT_OF_REACH, Reach } from './reach.ts'

const admits = (url: string, allowed: readonly string[] = []) => new Reach(allowed).admits(new URL(url))

/** Each is written as somebody would who wants to get at what is inside. */
const INSIDE = [
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0177.0.0.1/',
  'https://0/',
  'https://10.1.2.3/',
  'https://172.16.0.1/',
  'https://172.31.255.255/',
  'https://192.168.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://100.64.0.1/',
  'https://198.18.0.1/',
  'https://192.0.0.8/',
  'https://224.0.0.1/',
  'https://255.255.255.255/',
  'https://[::1]/',
  'https://[::]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::ffff:10.0.0.1]/',
  'https://[::127.0.0.1]/',
  'https://[64:ff9b::7f00:1]/',
  'https://[2002:7f00:1::]/',
  'https://[fc00::1]/',
  'https://[fd12:3456::1]/',
  'https://[fe80::1]/',
  'https://[fec0::1]/',
  'https://[ff02::1]/',
  'https://[2001:db8::1]/',
  'https://localhost/',
  'https://LOCALHOST./',
  'https://a.localhost/',
  'https://printer.local/',
  'https://vault.internal/',
  'https://router/',
  'https://router.home.arpa/',
]

test('S1: no way of writing an address of this host or its networks is admitted', () => {
  assert.deepEqual(
    INSIDE.filter((url) => admits(url)),
    [],
  )
})

test('addresses and names of the internet are admitted', () => {
  for (const url of [
    'https://updates.push.services.mozilla.com/wpush/v2/x',
    'https://8.8.8.8/',
    'https://172.32.0.1/',
    'https://[2606:4700::1111]/',
    'https://[::ffff:8.8.8.8]/',
  ])
    assert.ok(admits(url), url)
})

test('the operator lets in names and networks', () => {
  const allowed = ['ntfy', 'push.lan.local', '192.168.7.0/24', 'fd00:7::/32']
  for (const url of [
    'https://ntfy/up',
    'https://push.lan.local/',
    'https://192.168.7.9/',
    'https://[fd00:7::1]/',
    'https://[::ffff:192.168.7.9]/',
  ])
    assert.ok(admits(url, allowed), url)
  for (const url of [
    'https://192.168.8.9/',
    'https://[fd00:8::1]/',
    'https://127.0.0.1/',
    'https://lan.local/',
  ])
    assert.ok(!admits(url, allowed), url)
})

const lookUp = (reach: Reach, name: string, all = false) =>
  new Promise((resolve) => {
    reach.lookup(name, { all }, (error, address) => resolve(error?.code ?? address))
  })

test('S1: a name that means an address inside leads nowhere, unless it is allowed', async () => {
  assert.equal(await lookUp(new Reach([]), 'localhost'), OUT_OF_REACH)
  assert.equal(await lookUp(new Reach([]), 'localhost', true), OUT_OF_REACH)
  assert.match(String(await lookUp(new Reach(['localhost']), 'localhost')), /^(127\.0\.0\.1|::1)$/)
  assert.match(
    String(await lookUp(new Reach(['127.0.0.0/8', '::1/128']), 'localhost')),
    /^(127\.0\.0\.1|::1)$/,
  )
  assert.ok(Array.isArray(await lookUp(new Reach(['localhost']), 'LocalHost', true)))
})
