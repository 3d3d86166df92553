import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { CAPABILITIES, type Capability } from '../../../wire/types.ts'
import { capabilitiesOf } from './capability-view.ts'

const accountOf = (...devices: Capability[][]) =>
  sampleAccount({
    devices: devices.map((names, index) => sampleDevice({ id: index + 1, capabilities: new Set(names) })),
  })

test('an account shows its own devices more than it shows others, and what the server alone needs to nobody', () => {
  const able = accountOf([...CAPABILITIES])
  const own = ['attachmentBackfill', 'spqr', 'profiles_v2', 'usernameChangeSyncMessage']
  assert.deepEqual(capabilitiesOf(able, 'self'), own)
  assert.deepEqual(capabilitiesOf(able, 'everybody'), ['spqr'])
})

test('some capabilities count if the primary device has them, others if every device does', () => {
  const all = [...CAPABILITIES]
  assert.deepEqual(capabilitiesOf(accountOf(all, []), 'self'), ['attachmentBackfill'])
  assert.deepEqual(capabilitiesOf(accountOf([], all), 'self'), [])
  assert.deepEqual(capabilitiesOf(accountOf(all, []), 'everybody'), [])
  assert.deepEqual(capabilitiesOf(accountOf(all, ['spqr']), 'everybody'), ['spqr'])
})
