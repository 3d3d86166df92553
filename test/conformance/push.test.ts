// A phone that is woken through Web Push, beside a push service that looks at everything (docs/protocol/push.md).
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { temporaryFolder } from '../engines.ts'
import { WebPushService } from '../push/web-push-service.ts'
import { until } from '../until.ts'

const PATH = '/v1/heliograph/push/web'

async function open(t: TestContext, httpVersion: 1 | 2) {
  const service = await WebPushService.open(t)
  const caFile = join(await temporaryFolder(t), 'ca.pem')
  await writeFile(caFile, service.ca)
  const server = await Constellation.open({ config: { push: { web: { allowed: ['localhost'], caFile } } } })
  t.after(() => server.close())
  const https = Https.open(server.ready, httpVersion)
  t.after(() => https[Symbol.asyncDispose]())
  const ada = await SignalClient.create(server, { httpVersion })
  const boris = await SignalClient.create(server, { httpVersion })
  t.after(() => Promise.all([ada.disconnect(), boris.disconnect()]))
  const call = (method: string, json?: object) =>
    https.call(method, PATH, { headers: authorizationOf(boris.account), ...(json && { json }) })
  return { service, server, ada, boris, call }
}

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

for (const httpVersion of HTTP_VERSIONS)
  test(`a phone that is away is woken once for a burst, and not while it is there (HTTP/${httpVersion})`, async (t) => {
    const { service, ada, boris, call } = await open(t, httpVersion)
    const { applicationServerKey } = JSON.parse((await call('GET')).body.toString())
    service.restrictTo(applicationServerKey)
    const { endpoint, keys } = service.subscribe()
    const texts = { p256dh: base64url(keys!.p256dh), auth: base64url(keys!.auth) }
    assert.equal((await call('PUT', { endpoint, keys: texts })).status, 204)
    await ada.sendText(boris, 'you are there')
    await boris.messages.next()
    assert.equal(service.requests, 0)
    await boris.disconnect()
    for (const text of ['one', 'two', 'three']) await ada.sendText(boris, text)
    await until(() => service.received.length > 0, 'a push')
    await boris.connect()
    const seen = []
    for (let count = 0; count < 3; count++) seen.push((await boris.messages.next()).text)
    assert.deepEqual(seen, ['one', 'two', 'three'])
    assert.deepEqual([service.requests, service.faults], [1, []])
    const [push] = service.received
    assert.equal(push!.text, '{"newMessageAlert":""}')
    assert.equal(push!.urgency, 'high')
    assert.equal((await call('DELETE')).status, 204)
    await boris.disconnect()
    await ada.sendText(boris, 'and now?')
    await boris.connect()
    assert.equal((await boris.messages.next()).text, 'and now?')
    assert.equal(service.requests, 1)
  })

test('S1: an address that is no place for a push is refused, or never asked', async (t) => {
  const { call } = await open(t, 2)
  for (const endpoint of ['http://example.org/', 'nothing', 'https://user:pass@example.org/'])
    assert.equal((await call('PUT', { endpoint })).status, 400, endpoint)
  assert.equal((await call('PUT', { endpoint: `https://example.org/${'x'.repeat(3000)}` })).status, 422)
  assert.equal(
    (await call('PUT', { endpoint: 'https://a.example/', keys: { p256dh: 'AA', auth: 'AA' } })).status,
    422,
  )
})

test('where no push is configured, none is offered', async (t) => {
  const server = await Constellation.open({ config: { push: { web: { enabled: 'off' } } } })
  t.after(() => server.close())
  await using boris = await SignalClient.create(server, { httpVersion: 2 })
  await using https = Https.open(server.ready, 2)
  const headers = authorizationOf(boris.account)
  assert.equal((await https.call('GET', PATH, { headers })).status, 404)
  const json = { endpoint: 'https://push.example.org/a' }
  assert.equal((await https.call('PUT', PATH, { headers, json })).status, 404)
})
