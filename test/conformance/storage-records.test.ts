// Encrypted records as devices store them, on both versions of HTTP (docs/protocol/storage.md).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { after, type TestContext, test } from 'node:test'
import { systemClock } from '../../server/kit/clock.ts'
import { externalServices } from '../../server/kit/external-credentials.ts'
import { StorageManifest, WriteOperation } from '../../wire/gen/storage.js'
import { MAX_RECORDS_BODY_BYTES } from '../../wire/limits.ts'
import { uuidToBytes } from '../../wire/types.ts'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { LastYear } from '../client/last-year.ts'
import { linkDevice } from '../client/linked-device.ts'
import type { HttpVersion } from '../client/net.ts'
import { RecordKeeper } from '../client/record-keeper.ts'
import { register } from '../client/register.ts'
import { expectStatus, fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { plain } from '../plain.ts'
import { inOrder, keysOf, manifestAt, newItem, newItems, noise } from '../records.ts'
import { allRows, rowsWith } from '../rows.ts'

const LARGE = 5000
const server = await Constellation.open()
after(() => server.close())

async function familyOf(t: TestContext, httpVersion: HttpVersion) {
  const first = await register(server)
  const second = await linkDevice(server, first)
  const devices = [first, second].map((device) => RecordKeeper.of(server, device, httpVersion))
  t.after(() => Promise.all(devices.map((device) => device[Symbol.asyncDispose]())))
  return { first, second, primary: devices[0]!, linked: devices[1]! }
}

for (const httpVersion of [1, 2] as const) {
  test(`what one device stores the account's others read, over HTTP/${httpVersion}`, async (t) => {
    const { primary, linked } = await familyOf(t, httpVersion)
    assert.deepEqual([await primary.manifest(), await primary.newerManifest(-1)], [undefined, undefined])
    const items = newItems(20)
    const manifest = manifestAt(1)
    assert.deepEqual(await primary.write({ manifest, insertItem: items }), { status: 200 })
    assert.deepEqual(plain(await linked.manifest()), plain(manifest))
    assert.deepEqual(plain(await linked.newerManifest(-1)), plain(manifest))
    assert.equal(await linked.newerManifest(1), undefined)
    assert.deepEqual(inOrder(await linked.read([...keysOf(items), noise(16)])), inOrder(items))
  })

  test(`who is late gets the current manifest, and merges, over HTTP/${httpVersion}`, async (t) => {
    const { primary, linked } = await familyOf(t, httpVersion)
    const [common, mine, yours] = [newItem(), newItem(), newItem()]
    await primary.write({ manifest: manifestAt(1), insertItem: [common] })
    const manifest = manifestAt(2)
    assert.equal((await primary.write({ manifest, insertItem: [mine] })).status, 200)
    const late = { insertItem: [yours], deleteKey: [common.key], clearAll: true }
    const { status, current } = await linked.write({ manifest: manifestAt(2), ...late })
    assert.deepEqual([status, plain(current)], [409, plain(manifest)])
    const every = keysOf([common, mine, yours])
    assert.deepEqual(inOrder(await linked.read(every)), inOrder([common, mine]))
    const merged = { manifest: manifestAt(current!.version + 1), insertItem: [yours] }
    assert.deepEqual(await linked.write(merged), { status: 200 })
    assert.deepEqual(inOrder(await primary.read(every)), inOrder([common, mine, yours]))
  })

  test(`a first write of ${LARGE} records is taken whole, over HTTP/${httpVersion}`, async (t) => {
    const { primary, linked } = await familyOf(t, httpVersion)
    const items = newItems(LARGE, 600)
    const manifest = manifestAt(1, LARGE * 25)
    const operation = { manifest, insertItem: items }
    assert.ok(WriteOperation.encode(operation).finish().length > 3_000_000)
    assert.deepEqual(await primary.write(operation), { status: 200 })
    assert.deepEqual(inOrder(await linked.read(keysOf(items))), inOrder(items))
    const anew = newItems(3)
    const again = { manifest: manifestAt(2), insertItem: anew, clearAll: true }
    assert.deepEqual(await linked.write(again), { status: 200 })
    assert.deepEqual(
      inOrder(await primary.read([...keysOf(items).slice(-500), ...keysOf(anew)])),
      inOrder(anew),
    )
  })

  test(`answers come in their own types, with the server's time, over HTTP/${httpVersion}`, async (t) => {
    const { primary } = await familyOf(t, httpVersion)
    const body = WriteOperation.encode({ manifest: manifestAt(7), insertItem: newItems(2) }).finish()
    const written = await primary.call('PUT', '/v1/storage', body)
    assert.deepEqual([written.status, written.body.length], [200, 0])
    const replies = [
      await primary.call('GET', '/v1/storage/manifest'),
      await primary.call('GET', '/v1/storage/manifest/version/6'),
      await primary.call('PUT', '/v1/storage', body),
    ]
    assert.deepEqual(
      replies.map(({ status }) => status),
      [200, 200, 409],
    )
    for (const reply of replies) {
      assert.equal(reply.headers['content-type'], 'application/x-protobuf')
      assert.match(reply.headers['x-signal-timestamp']!, /^\d{13}$/)
      assert.equal(StorageManifest.decode(reply.body).version, 7)
    }
    const refused = [
      await primary.call('GET', '/v1/storage/manifest/version/x'),
      await primary.call('PUT', '/v1/storage', WriteOperation.encode({ clearAll: true }).finish()),
      await primary.call('PUT', '/v1/storage/read', new Uint8Array(0)),
      await primary.call('PUT', '/v1/storage', new Uint8Array([0xff])),
    ]
    assert.deepEqual(
      refused.map(({ status }) => status),
      [422, 400, 400, 422],
    )
    await primary.clear()
    assert.equal(await primary.manifest(), undefined)
  })

  test(`a body that is too large is refused, over HTTP/${httpVersion}`, async (t) => {
    const { primary } = await familyOf(t, httpVersion)
    const manifest = manifestAt(1)
    const filler = (bytes: number) => ({ manifest, insertItem: [newItem(bytes)] })
    const items = newItems(127, 128 * 1024)
    const most = WriteOperation.encode({ manifest, insertItem: items }).finish()
    assert.ok(most.length <= MAX_RECORDS_BODY_BYTES && most.length > MAX_RECORDS_BODY_BYTES - 256 * 1024)
    assert.equal((await primary.call('PUT', '/v1/storage', most)).status, 200)
    await primary.clear()
    assert.equal((await primary.write(filler(128 * 1024 + 1))).status, 413)
    assert.equal((await primary.call('PUT', '/v1/storage', noise(MAX_RECORDS_BODY_BYTES + 1))).status, 413)
    assert.equal(await primary.manifest(), undefined)
  })
}

test('a long body is read on only from whom the credentials show', async (t) => {
  const { primary } = await familyOf(t, 1)
  const { username, password } = await primary.credentials()
  const ca = readFileSync(server.ready.tls.caPem)
  const url = new URL('/v1/storage', server.ready.urls.storage)
  // It says that 15 MiB will come, and sends one.
  const started = async (headers: Record<string, string>) => {
    const length = String(15 * 1024 * 1024)
    const sent = request(url, {
      method: 'PUT',
      ca,
      agent: false,
      headers: { ...headers, 'content-length': length },
    })
    const answered = once(sent, 'response')
    const ended = once(sent, 'close')
    sent.on('error', () => {}) // the server hangs up
    sent.write(Buffer.alloc(1024 * 1024, 0xff))
    return { sent, answered, ended }
  }
  for (const headers of [
    {},
    { authorization: basic(username, `${password.slice(0, -20)}${'0'.repeat(20)}`) },
  ]) {
    const { answered, ended } = await started(headers)
    const [{ statusCode, headers: told }] = await answered
    assert.deepEqual([statusCode, told.connection], [401, 'close'])
    await ended
  }
  const { sent, answered } = await started({ authorization: basic(username, password) })
  sent.end(Buffer.alloc(14 * 1024 * 1024, 0xff))
  assert.equal((await answered)[0].statusCode, 422)
})

test('A3: credentials for one account open the records of no other', async (t) => {
  const [ada, boris] = [await familyOf(t, 2), await familyOf(t, 1)]
  const items = newItems(3)
  await ada.primary.write({ manifest: manifestAt(5), insertItem: items })
  assert.deepEqual([await boris.primary.manifest(), await boris.primary.read(keysOf(items))], [undefined, []])
  await boris.primary.write({ manifest: manifestAt(1), deleteKey: keysOf(items), clearAll: true })
  await boris.primary.clear()
  const [hers, his] = [await ada.primary.credentials(), await boris.primary.credentials()]
  const device = { username: `${ada.first.aci.getServiceIdString()}.1`, password: ada.first.password }
  const wrong = [
    { username: hers.username, password: his.password },
    { username: his.username, password: hers.password },
    { username: hers.username, password: hers.password.replace(/.$/, (last) => (last === '0' ? '1' : '0')) },
    device,
  ]
  const removal = WriteOperation.encode({ manifest: manifestAt(6), clearAll: true }).finish()
  for (const given of wrong)
    for (const [method, path, body] of [
      ['GET', '/v1/storage/manifest'],
      ['GET', '/v1/storage/manifest/version/1'],
      ['PUT', '/v1/storage', removal],
      ['PUT', '/v1/storage/read', new Uint8Array(0)],
      ['DELETE', '/v1/storage'],
    ] as const)
      assert.equal((await ada.primary.call(method, path, body, given)).status, 401)
  assert.equal((await ada.primary.manifest())!.version, 5)
  assert.deepEqual(inOrder(await ada.linked.read(keysOf(items))), inOrder(items))
})

test("libsignal's connection gives the credentials that the storage service takes", async () => {
  for (const httpVersion of [1, 2] as const) {
    await using ada = await SignalClient.create(server, { httpVersion })
    await using https = Https.open(server.ready, httpVersion, 'storage')
    const keeper = new RecordKeeper(https, async () => {
      const given = await fetchJson(ada.link.auth, 'GET', '/v1/storage/auth')
      expectStatus(200, given)
      return given.json
    })
    const items = newItems(4)
    assert.deepEqual(await keeper.write({ manifest: manifestAt(1), insertItem: items }), { status: 200 })
    assert.deepEqual(inOrder(await keeper.read(keysOf(items))), inOrder(items))
  }
})

test("last year's client finds no records, stores its own, and its next device reads them", async () => {
  await using client = new LastYear(server)
  await client.register()
  await client.preamble()
  await using keeper = client.keeper()
  // The order of signal-cli 0.13.19: a manifest of a version it does not have, then any, then its first write.
  assert.equal((await keeper.call('GET', '/v1/storage/manifest/version/-1')).status, 204)
  assert.equal((await keeper.call('GET', '/v1/storage/manifest')).status, 404)
  const items = newItems(3)
  assert.deepEqual(await keeper.write({ manifest: manifestAt(1), insertItem: items }), { status: 200 })
  const known = await keeper.newerManifest(-1)
  assert.equal(known!.version, 1)
  assert.deepEqual(inOrder(await keeper.read(keysOf(items))), inOrder(items))
  const next = { manifest: manifestAt(2), insertItem: [newItem()], deleteKey: [items[0]!.key] }
  assert.deepEqual(await keeper.write(next), { status: 200 })
  const { status, current } = await keeper.write(next)
  assert.deepEqual([status, current?.version], [409, 2])
  assert.deepEqual(inOrder(await keeper.read(keysOf(items))), inOrder(items.slice(1)))
})

test('O6: a deleted account’s records go with it, and its other devices bring none back', async (t) => {
  const { first, primary, linked } = await familyOf(t, 2)
  const items = newItems(3)
  await primary.write({ manifest: manifestAt(1), insertItem: items })
  const given = await linked.credentials()
  await using https = Https.open(server.ready, 1)
  expectStatus(204, await https.call('DELETE', '/v1/accounts/me', { headers: authorizationOf(first) }))
  const body = WriteOperation.encode({ manifest: manifestAt(1), insertItem: items }).finish()
  assert.equal((await linked.call('PUT', '/v1/storage', body, given)).status, 401)
  assert.equal((await linked.call('GET', '/v1/storage/manifest', undefined, given)).status, 401)
  const aci = uuidToBytes(first.aci.getServiceIdString())
  await server.restart(async (sql) => {
    const left = rowsWith(await allRows(sql), [aci, ...keysOf(items)])
    assert.deepEqual(
      left.map(({ table }) => table).filter((table) => table.includes('record')),
      ['deleted_record_owners'],
    )
  })
})

const issueFor = async (of: Constellation, aci: string) =>
  externalServices(await of.secrets(), systemClock).storage.issue(aci)

test('a process of the storage service alone serves its routes and no others', async () => {
  await using alone = await Constellation.open({ config: { roles: ['storage'] } })
  assert.deepEqual(Object.keys(alone.ready.urls), ['storage'])
  await using https = Https.open(alone.ready, 2, 'storage')
  const aci = '00000000-0000-4000-8000-000000000001'
  const keeper = new RecordKeeper(https, () => issueFor(alone, aci))
  const items = newItems(2)
  assert.deepEqual(await keeper.write({ manifest: manifestAt(1), insertItem: items }), { status: 200 })
  assert.deepEqual(inOrder(await keeper.read(keysOf(items))), inOrder(items))
  for (const path of ['/v1/accounts/whoami', '/v1/storage/auth', '/v1/keepalive'])
    assert.equal((await https.call('GET', path)).status, 404)
})

test('a process of the chat server alone serves no records, and removes those of whom it deletes', async () => {
  await using alone = await Constellation.open({ config: { roles: ['chat'] } })
  assert.deepEqual(Object.keys(alone.ready.urls), ['chat'])
  const ada = await register(alone)
  const aci = ada.aci.getServiceIdString()
  const item = newItem()
  await alone.restart(async (sql) => {
    const args = [uuidToBytes(aci), item.key, item.value]
    await sql.write([{ sql: 'INSERT INTO record_items (aci, item_key, value) VALUES ($1, $2, $3)', args }])
  })
  {
    await using https = Https.open(alone.ready, 2)
    const keeper = new RecordKeeper(https, () => issueFor(alone, aci))
    assert.equal((await keeper.call('GET', '/v1/storage/manifest')).status, 404)
    assert.equal((await keeper.call('PUT', '/v1/storage/read', new Uint8Array(0))).status, 404)
    expectStatus(204, await https.call('DELETE', '/v1/accounts/me', { headers: authorizationOf(ada) }))
  }
  await alone.restart(async (sql) => assert.deepEqual(rowsWith(await allRows(sql), [item.key]), []))
})
