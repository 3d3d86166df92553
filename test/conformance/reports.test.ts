// Reporting messages (signal-api §2.11): what a client sends after it was written to by somebody unwanted.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

for (const httpVersion of HTTP_VERSIONS)
  describe(`reports over HTTP/${httpVersion}`, () => {
    let server: Constellation
    let https: Https
    let ada: SignalClient
    let spammer: SignalClient
    before(async () => {
      server = await Constellation.open()
      https = Https.open(server.ready, httpVersion)
      ada = await SignalClient.create(server, { httpVersion })
      spammer = await SignalClient.create(server, { httpVersion })
    })
    after(async () => {
      for (const client of [ada, spammer]) await client.disconnect()
      await https[Symbol.asyncDispose]()
      await server.close()
    })
    const reporters = async () => {
      let rows: unknown[] = []
      await server.restart(async (sql) => {
        rows = await sql.read('SELECT reporter FROM message_reports')
      })
      return rows.length
    }

    test('a report is 202 whatever it says, and counts if the message was there', async () => {
      await spammer.sendText(ada, 'buy this')
      const { envelope } = await ada.messages.next()
      const report = (source: string, guid: string, body?: object) =>
        fetchJson(ada.link.auth, 'POST', `/v1/messages/report/${source}/${guid}`, body)
      const source = spammer.aci.getServiceIdString()
      const invented = [
        await report(source, randomUUID()),
        await report(randomUUID(), envelope.serverGuidText),
      ]
      for (const { status, body } of invented) assert.deepEqual([status, body.length], [202, 0])
      assert.equal((await report('nobody', envelope.serverGuidText)).status, 422)
      assert.equal((await report(source, 'nothing')).status, 422)
      const path = `/v1/messages/report/${source}/${envelope.serverGuidText}`
      assert.equal((await https.call('POST', path)).status, 401)
      await https[Symbol.asyncDispose]()
      assert.equal(await reporters(), 0)
      await ada.connect()
      assert.equal((await report(source, envelope.serverGuidText, { token: 'AAAA' })).status, 202)
      https = Https.open(server.ready, httpVersion)
      const headers = authorizationOf(ada.account)
      assert.equal(
        (
          await https.call('POST', path.toUpperCase().replace('/V1/MESSAGES/REPORT', '/v1/messages/report'), {
            headers,
          })
        ).status,
        202,
      )
      await https[Symbol.asyncDispose]()
      assert.equal(await reporters(), 1)
    })
  })
