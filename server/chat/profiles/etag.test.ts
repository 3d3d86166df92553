import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleAccount } from '../../../test/sample-account.ts'
import { etagOf } from './etag.ts'

const tag = async (account: Parameters<typeof etagOf>[0], data: string, paymentAddress?: string) => {
  const address = paymentAddress === undefined ? undefined : Buffer.from(paymentAddress, 'hex')
  return Buffer.from((await etagOf(account, Buffer.from(data, 'hex'), address))!).toString('base64')
}
const blank = sampleAccount({ aciIdentityKey: new Uint8Array(0), unidentifiedAccessKey: undefined })

test("the tags of Signal-Server's own test vectors come out the same", async () => {
  assert.equal(await tag(blank, ''), '6NXrB3FC907RoA==')
  assert.equal(await tag(blank, 'abcde123'), 'ZKDfIrGEKT1+Sw==')
  assert.equal(await tag(blank, '', 'abcde123'), '5CWKoXAq1/cuAg==')
})

test('whatever is shown changes the tag, and what is not does not', async () => {
  const account = sampleAccount()
  const base = await tag(account, '01')
  const shown = [
    { ...account, aciIdentityKey: new Uint8Array(33) },
    { ...account, unidentifiedAccessKey: new Uint8Array(16) },
    { ...account, unidentifiedAccessKey: undefined },
    { ...account, unrestrictedUnidentifiedAccess: true },
  ]
  for (const changed of shown) assert.notEqual(await tag(changed, '01'), base)
  assert.equal(await tag({ ...account, pniIdentityKey: new Uint8Array(33), version: 7 }, '01'), base)
  assert.equal(await tag(account, '01', ''), base)
})
