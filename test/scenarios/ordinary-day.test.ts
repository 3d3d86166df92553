import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LastYear } from '../client/last-year.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

test('x y z', async () => {
  await using server = await Constellation.open()
  await using ada = await SignalClient.create(server)
  await using boris = new LastYear(server)
  await boris.register()
  await boris.preamble()
  await boris.send({ aci: ada.aci.getServiceIdString() }, 'hello')
  assert.equal((await ada.messages.next()).text, 'hello')
})
