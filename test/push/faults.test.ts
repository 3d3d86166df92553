import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultyProviders } from './faulty-providers.ts'
import { ManyPhones } from './many-phones.ts'

const PHONES = 2_000

test(`${PHONES} phones are woken through providers that fail: none is lost, none is woken twice but where an answer was lost`, async (t) => {
  const providers = await FaultyProviders.open(PHONES, 'faults')
  t.after(() => providers.close())
  const phones = await ManyPhones.open(t, providers.config, PHONES)
  await phones.write()
  await phones.wake()
  const tally = providers.tally()
  assert.deepEqual(phones.wrong(tally), [])
  assert.deepEqual(tally.complaints, [])
  assert.deepEqual(tally.looks, [
    '{"aps":{"content-available":1}}',
    '{"aps":{"mutable-content":1,"alert":{"loc-key":"APN_Message"}}}',
    '{"message":{"token":"…","data":{"newMessageAlert":""},"android":{"priority":"HIGH","ttl":"2419200s"}}}',
    '{"message":{"token":"…","data":{"newMessageAlert":""},"android":{"priority":"NORMAL","ttl":"2419200s"}}}',
  ])
  assert.ok(tally.requests > PHONES, 'there were faults')
  assert.ok(tally.connections > 2, 'connections were lost')
})
