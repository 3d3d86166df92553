import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './clock.ts'
import { externalServices } from './external-credentials.ts'
import type { ExternalServiceSecret } from './secrets.ts'

const ACI = '9d0652a3-dcc3-4d11-975f-74d61598733f'
const OTHER = '6838237d-02f6-4098-b110-698253d15961'
const DAY_MS = 86_400_000

/** The bytes from `first` on, 32 of them. */
const run = (first: number) => Buffer.from(Array.from({ length: 32 }, (_, at) => (first + at) % 256))
const keys = (first: number): ExternalServiceSecret => ({ secret: run(first), userIdKey: run(first + 32) })

function open() {
  const clock = new ManualClock(1_767_225_600_000)
  const secrets = { storage: keys(0), directory: keys(0), svr2: keys(0), svrb: keys(64) }
  return { clock, services: externalServices({ externalServices: secrets }, clock) }
}

test('each service has its form of credentials', () => {
  // Computed with Python's hmac.
  const { services } = open()
  assert.deepEqual(services.storage.issue(ACI), {
    username: ACI,
    password: `${ACI}:1767225600:ab2edba20c8e7eb85a4f`,
  })
  assert.deepEqual(services.directory.issue(ACI), {
    username: 'feb9fdcdc18d2455b29a',
    password: '1767225600:1f79b62b26ddc7428cb2',
  })
  assert.deepEqual(services.svr2.issue(ACI), {
    username: 'feb9fdcdc18d2455b29aa5ebd1e87048',
    password: '1767225600:2fb1a0f5fb24f95b3c8e',
  })
  assert.equal(services.svrb.issue('00ff').username.length, 32)
})

test('what was issued is verified, until it is too old', () => {
  const { services, clock } = open()
  for (const service of [services.storage, services.svr2]) {
    const credentials = service.issue(ACI)
    const issuedAtMs = clock.nowMs()
    assert.equal(service.issuedAtMs(credentials), issuedAtMs)
    clock.advance(DAY_MS)
    assert.equal(service.verify(credentials, DAY_MS), true)
    clock.advance(1)
    assert.equal(service.verify(credentials, DAY_MS), false)
    assert.equal(service.issuedAtMs(credentials), issuedAtMs)
    clock.set(issuedAtMs)
  }
})

test('credentials of another user, service, time or signature are refused', () => {
  const { services } = open()
  for (const service of [services.storage, services.directory, services.svr2]) {
    const { username, password } = service.issue(ACI)
    const other = service.issue(OTHER)
    const cut = password.lastIndexOf(':')
    const last = password.at(-1) === '0' ? '1' : '0'
    const wrong = [
      { username: other.username, password },
      { username, password: other.password },
      { username: '', password },
      { username, password: password.replace('1767225600', '1767225601') },
      { username, password: password.slice(0, -1) + last },
      { username, password: password.slice(0, -1) },
      { username, password: `${password}0` },
      { username, password: password.toUpperCase() === password ? '' : password.toUpperCase() },
      { username, password: password.slice(0, cut + 1) },
      { username, password: `${username}:${password}` },
      { username, password: '' },
      services.svrb.issue(ACI),
    ]
    for (const one of wrong) assert.equal(service.verify(one, DAY_MS), false, JSON.stringify(one))
  }
})
