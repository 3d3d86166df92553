// Contact discovery of our own: who has a number, over HTTPS and inside the socket.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { newNumber, type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const PATH = '/v1/heliograph/discovery'
const BATCH = { discovery: { mode: 'batch', maxNumbers: 3 } }
let server: Constellation
before(async () => {
  server = await Constellation.open({ config: BATCH })
})
after(() => server.close())

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const entry = ({ number, pni }: Registered, aci: string | null = null) => ({
  number,
  pni: pni.getRawUuid(),
  aci,
})

for (const httpVersion of HTTP_VERSIONS)
  describe(`contact discovery over HTTP/${httpVersion}`, () => {
    let https: Https
    let client: SignalClient
    let ada: Registered
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      client = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
      ada = await register(server, { httpVersion })
    })
    after(async () => {
      await client.disconnect()
      await https[Symbol.asyncDispose]()
    })

    test('the answer is the same over plain HTTPS and on the socket', async () => {
      const nobody = newNumber()
      const body = {
        numbers: [nobody, ada.number],
        accessKeys: [{ aci: ada.aci.getServiceIdString(), accessKey: base64(ada.accessKey) }],
      }
      const entries = [{ number: nobody, pni: null, aci: null }, entry(ada, ada.aci.getServiceIdString())]
      const headers = authorizationOf(client.account)
      const plain = await https.call('POST', PATH, { headers, json: body })
      assert.deepEqual([plain.status, plain.json], [200, { entries }])
      const inside = await fetchJson(client.link.auth, 'POST', PATH, body)
      assert.deepEqual([inside.status, inside.json], [200, { entries }])
    })

    test('who is found writes to the identity of the number', async () => {
      const other = await SignalClient.create(server, { httpVersion, oneTimeKeys: 1 })
      const { json } = await fetchJson(client.link.auth, 'POST', PATH, { numbers: [other.account.number] })
      assert.deepEqual(json.entries, [entry(other.account)])
      const bundle = await fetchJson(client.link.auth, 'GET', `/v2/keys/PNI:${json.entries[0].pni}/*`)
      assert.equal(bundle.status, 200)
      await other.disconnect()
    })

    test('the policy is told, and only devices may ask', async () => {
      const policy = await fetchJson(client.link.auth, 'GET', PATH)
      assert.deepEqual(policy.json, { mode: 'batch', maxNumbers: 3 })
      const body = { numbers: [ada.number] }
      assert.equal((await https.call('POST', PATH, { json: body })).status, 401)
      assert.equal((await https.call('GET', PATH)).status, 401)
      assert.equal((await fetchJson(client.link.unauth, 'POST', PATH, body)).status, 401)
    })

    test('what breaks the contract is 422', async () => {
      const accessKey = base64(randomBytes(16))
      const numbers = [ada.number]
      const spoilt = [
        {},
        { numbers: [] },
        { numbers: ['12025550100'] },
        { numbers: ['+1 202 555 0100'] },
        { numbers: ['+01234567'] },
        { numbers: Array.from({ length: 4 }, newNumber) },
        { numbers, accessKeys: [{ aci: 'x', accessKey }] },
        { numbers, accessKeys: [{ aci: ada.aci.getServiceIdString(), accessKey: 'AAAA' }] },
      ]
      for (const body of spoilt)
        assert.equal(
          (await fetchJson(client.link.auth, 'POST', PATH, body)).status,
          422,
          JSON.stringify(body),
        )
    })
  })

test('a server answers one number at a time unless told otherwise, and none if it is off', async () => {
  for (const [config, expected] of [
    [{}, { policy: { mode: 'single', maxNumbers: 1 }, one: 200, two: 422 }],
    [{ discovery: { mode: 'off' } }, { policy: { mode: 'off', maxNumbers: 0 }, one: 404, two: 404 }],
  ] as const) {
    await using other = await Constellation.open({ config })
    await using https = Https.open(other.ready, 2)
    const headers = authorizationOf(await register(other))
    const status = async (count: number) => {
      const json = { numbers: Array.from({ length: count }, newNumber) }
      return (await https.call('POST', PATH, { headers, json })).status
    }
    const policy = (await https.call('GET', PATH, { headers })).json
    assert.deepEqual({ policy, one: await status(1), two: await status(2) }, expected)
  }
})
