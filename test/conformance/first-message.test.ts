import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HTTP_VERSIONS } from '../client/net.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

for (const httpVersion of HTTP_VERSIONS)
  test(`two clients exchange messages both ways, identified and sealed (HTTP/${httpVersion})`, async () => {
    await using server = await Constellation.open()
    await using ada = await SignalClient.create(server, { httpVersion })
    await using bob = await SignalClient.create(server, { httpVersion })
    for (const [index, options] of [{}, { sealed: true }, { via: 'rest' as const }].entries()) {
      await ada.sendText(bob, `to bob ${index}`, options)
      const received = await bob.messages.next()
      assert.equal(received.text, `to bob ${index}`)
      assert.equal(received.from, ada.aci.getServiceIdString())
      await bob.sendText(ada, `to ada ${index}`, options)
      assert.equal((await ada.messages.next()).text, `to ada ${index}`)
    }
    assert.deepEqual(ada.unreadable.all, [])
  })
