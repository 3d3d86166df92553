import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { newAci, newPni, sampleAccount } from '../../../test/sample-account.ts'
import { IdentityCheck } from './identity-check.ts'

const fingerprintOf = (key: Uint8Array) => createHash('sha256').update(key).digest().subarray(0, 4)

test('of a thousand those are named whose key differs, in their order and by either identity', async (t) => {
  const { accounts, limits, limited } = await openRules(t)
  const check = new IdentityCheck(accounts, limits)
  const known = Array.from({ length: 30 }, () => sampleAccount())
  for (const account of known) assert.ok(await accounts.put(account, []))
  const right = known.flatMap((account) => [
    { id: account.aci, fingerprint: fingerprintOf(account.aciIdentityKey) },
    { id: account.pni, fingerprint: fingerprintOf(account.pniIdentityKey) },
  ])
  const nobodies = Array.from({ length: 470 }, () => [newAci(), newPni()])
    .flat()
    .map((id) => ({ id, fingerprint: Buffer.alloc(4) }))
  assert.deepEqual(await check.mismatches([...right, ...nobodies], '192.0.2.1'), [])
  const wrong = known.map(({ aci, aciIdentityKey }, index) => {
    const fingerprint = Buffer.from(fingerprintOf(aciIdentityKey))
    fingerprint[index % 4]! ^= 1
    return { id: aci, fingerprint }
  })
  const mixed = nobodies.flatMap((nobody, index) => (wrong[index] ? [nobody, wrong[index]] : [nobody]))
  assert.deepEqual(
    await check.mismatches(mixed, '192.0.2.1'),
    known.map(({ aci, aciIdentityKey }) => ({ id: aci, identityKey: new Uint8Array(aciIdentityKey) })),
  )
  const crossed = known.map((one) => ({ id: one.pni, fingerprint: fingerprintOf(one.aciIdentityKey) }))
  assert.equal((await check.mismatches(crossed, '192.0.2.2')).length, known.length)
  assert.deepEqual(limited, [
    'batchIdentityCheck: 192.0.2.1',
    'batchIdentityCheck: 192.0.2.1',
    'batchIdentityCheck: 192.0.2.2',
  ])
})
