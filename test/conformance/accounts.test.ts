// What a device says of itself and reads back: identity, attributes, capabilities, devices, configuration (signal-api §2.4, §2.8, §2.21).
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { HTTP_VERSIONS, openNet, type UnauthChat } from '../client/net.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const REMOTE = { 'global.attachments.maxBytes': '104857600', 'global.x': 'ws' }
const DAY_MS = 86_400_000
let server: Constellation
before(async () => {
  server = await Constellation.open({ config: { remoteConfig: REMOTE } })
})
after(() => server.close())

const identityOf = ({ aci, pni, number }: Registered, storageCapable: boolean) => ({
  uuid: aci.getServiceIdString(),
  number,
  pni: pni.getRawUuid(),
  usernameHash: null,
  usernameLinkHandle: null,
  storageCapable,
  entitlements: { badges: [], backup: null },
})

for (const httpVersion of HTTP_VERSIONS)
  describe(`accounts over HTTP/${httpVersion}`, () => {
    let https: Https
    let client: SignalClient
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      client = await SignalClient.create(server, { httpVersion })
    })
    after(async () => {
      await client.disconnect()
      await https[Symbol.asyncDispose]()
    })

    test('whoami is the same over plain HTTPS and on the socket', async () => {
      const expected = identityOf(client.account, true)
      const headers = authorizationOf(client.account)
      const plain = await https.call('GET', '/v1/accounts/whoami', { headers })
      assert.deepEqual([plain.status, plain.json], [200, expected])
      const inside = await fetchJson(client.link.auth, 'GET', '/v1/accounts/whoami')
      assert.deepEqual([inside.status, inside.json], [200, expected])
    })

    test('a user name without a device number is the primary device', async () => {
      const { aci, password } = client.account
      const headers = { authorization: basic(aci.getServiceIdString(), password) }
      assert.equal((await https.call('GET', '/v1/accounts/whoami', { headers })).status, 200)
    })

    test('credentials that are wrong in any way are 401 without a body', async () => {
      const { aci, password } = client.account
      const id = aci.getServiceIdString()
      const wrong = [
        basic(`${id}.1`, 'wrong'),
        basic(`${id}.2`, password),
        basic(`${id}.0`, password),
        basic(`${id}.x`, password),
        basic(`${randomUUID()}.1`, password),
        basic('garbage', password),
        'Basic !!!',
        'Bearer token',
      ]
      const anonymous = await https.call('GET', '/v1/accounts/whoami')
      assert.deepEqual([anonymous.status, anonymous.body.length], [401, 0])
      for (const authorization of wrong) {
        const reply = await https.call('GET', '/v1/accounts/whoami', { headers: { authorization } })
        assert.deepEqual([reply.status, reply.body.length], [401, 0])
      }
    })

    test('on a socket without a device whoami is 401, whatever the request itself says', async () => {
      const headers = authorizationOf(client.account)
      const { status } = await fetchJson(client.link.unauth, 'GET', '/v1/accounts/whoami', undefined, headers)
      assert.equal(status, 401)
    })

    test('attributes are replaced, and a path with a slash at its end is the same', async () => {
      const account = await register(server, { httpVersion })
      const headers = { ...authorizationOf(account), 'x-signal-agent': 'OWD' }
      const json = {
        fetchesMessages: true,
        registrationId: account.keys.aci.registrationId,
        pniRegistrationId: account.keys.pni.registrationId,
        name: Buffer.from('encrypted name').toString('base64'),
        capabilities: { spqr: true, storage: false, 'not yet known': true },
        unidentifiedAccessKey: Buffer.alloc(16, 7).toString('base64'),
        unrestrictedUnidentifiedAccess: false,
        discoverableByPhoneNumber: false,
      }
      for (const path of ['/v1/accounts/attributes/', '/v1/accounts/attributes']) {
        const { status, body } = await https.call('PUT', path, { headers, json })
        assert.deepEqual([status, body.length], [204, 0])
      }
      const devices = await https.call('GET', '/v1/devices', { headers })
      assert.equal(devices.json.devices[0].name, json.name)
      const whoami = await https.call('GET', '/v1/accounts/whoami', { headers })
      assert.equal(whoami.json.storageCapable, false)
      const target = `/v2/keys/${account.aci.getServiceIdString()}/1`
      const withKey = (key: string) =>
        https.call('GET', target, { headers: { 'unidentified-access-key': key } })
      assert.equal((await withKey(json.unidentifiedAccessKey)).status, 200)
      assert.equal((await withKey(Buffer.from(account.accessKey).toString('base64'))).status, 401)
    })

    test('attributes that break their contract are 422', async () => {
      const headers = authorizationOf(client.account)
      const unidentifiedAccessKey = Buffer.alloc(16).toString('base64')
      const spoilt = [
        { name: Buffer.alloc(226).toString('base64') },
        { registrationLock: 'short' },
        { unidentifiedAccessKey: 'AAAA' },
        { recoveryPassword: 'AAAA' },
        { capabilities: ['spqr'] },
        { fetchesMessages: 'yes' },
      ]
      for (const fields of spoilt) {
        const json = { fetchesMessages: true, unidentifiedAccessKey, ...fields }
        const reply = await https.call('PUT', '/v1/accounts/attributes', { headers, json })
        assert.equal(reply.status, 422, JSON.stringify(fields))
      }
    })

    test('an access key may be left out only where everybody is let in', async () => {
      const account = await register(server, { httpVersion })
      const headers = authorizationOf(account)
      const put = (json: object) => https.call('PUT', '/v1/accounts/attributes', { headers, json })
      const closed = await put({ fetchesMessages: true })
      assert.equal(closed.status, 422)
      assert.match(closed.json.errors[0], /unidentifiedAccessKey/)
      assert.equal((await put({ fetchesMessages: true, unrestrictedUnidentifiedAccess: true })).status, 204)
    })

    test('capabilities of the device are replaced', async () => {
      const account = await register(server, { httpVersion, capabilities: ['spqr'] })
      const headers = authorizationOf(account)
      const storage = async () =>
        (await https.call('GET', '/v1/accounts/whoami', { headers })).json.storageCapable
      assert.equal(await storage(), false)
      const json = { storage: true, spqr: true }
      assert.equal((await https.call('PUT', '/v1/devices/capabilities', { headers, json })).status, 204)
      assert.equal(await storage(), true)
      await https.call('PUT', '/v1/devices/capabilities', { headers, json: {} })
      assert.equal(await storage(), false)
    })

    test('the list of devices tells the primary one, seen today', async () => {
      const { status, json } = await fetchJson(client.link.auth, 'GET', '/v1/devices')
      assert.equal(status, 200)
      assert.equal(json.devices.length, 1)
      const { lastSeen, createdAtCiphertext, ...device } = json.devices[0]
      assert.equal(lastSeen % DAY_MS, 0)
      assert.ok(Math.abs(Date.now() - lastSeen) < 2 * DAY_MS)
      const { registrationId } = client.account.keys.aci
      assert.deepEqual(device, { id: 1, name: null, registrationId })
      assert.match(createdAtCiphertext, /^[A-Za-z0-9+/]+$/)
    })

    test('whether an account exists is told to strangers only', async () => {
      const path = (id: string) => `/v1/accounts/account/${id}`
      const own = path(client.aci.getServiceIdString())
      assert.equal((await https.call('HEAD', own)).status, 200)
      assert.equal((await https.call('HEAD', path(client.pni.getServiceIdString()))).status, 200)
      assert.equal((await https.call('HEAD', path(randomUUID()))).status, 404)
      assert.equal((await https.call('HEAD', path('garbage'))).status, 422)
      assert.equal((await https.call('HEAD', own, { headers: authorizationOf(client.account) })).status, 400)
      assert.equal((await fetchJson(client.link.auth, 'HEAD', own)).status, 400)
      assert.equal((await fetchJson(client.link.unauth, 'HEAD', own)).status, 200)
    })

    test('remote configuration has a tag, and is not sent again to who has it', async () => {
      const { auth } = client.link
      const first = await fetchJson(auth, 'GET', '/v2/config')
      assert.deepEqual([first.status, first.json], [200, { config: REMOTE }])
      const { etag } = first.headers
      assert.match(etag!, /^"[0-9a-f]+"$/)
      const conditional = (tag: string) =>
        fetchJson(auth, 'GET', '/v2/config', undefined, { 'if-none-match': tag })
      const same = await conditional(etag!)
      assert.deepEqual([same.status, same.body.length, same.headers['etag']], [304, 0, etag])
      assert.equal((await conditional(`W/${etag}, "other"`)).status, 304)
      assert.equal((await conditional('"other"')).status, 200)
      assert.equal((await https.call('GET', '/v2/config')).status, 401)
    })

    test('keepalive is 200 on either socket and 404 over plain HTTPS', async () => {
      assert.equal((await fetchJson(client.link.auth, 'GET', '/v1/keepalive')).status, 200)
      assert.equal((await fetchJson(client.link.unauth, 'GET', '/v1/keepalive')).status, 200)
      assert.equal((await https.call('GET', '/v1/keepalive')).status, 404)
    })

    test('every answer tells the time of the server, whatever its status', async () => {
      const headers = authorizationOf(client.account)
      const replies = await Promise.all([
        https.call('GET', '/v1/accounts/whoami', { headers }),
        https.call('GET', '/v1/accounts/whoami'),
        https.call('GET', '/v1/nowhere'),
        https.call('POST', '/v1/accounts/whoami'),
        https.call('PUT', '/v2/keys', { headers, body: '{' }),
        https.call('PUT', '/v2/keys', { headers, body: Buffer.alloc(600 * 1024) }),
        fetchJson(client.link.auth, 'GET', '/v1/nowhere'),
      ])
      assert.deepEqual(
        replies.map(({ status }) => status),
        [200, 401, 404, 405, 422, 413, 404],
      )
      for (const reply of replies) {
        const behindMs = Date.now() - Number(reply.headers['x-signal-timestamp'])
        assert.ok(Math.abs(behindMs) < 60_000, `${reply.status} was ${behindMs} ms behind`)
      }
    })

    test('libsignal asks for an account by its typed call', async () => {
      const net = openNet(server.ready, httpVersion)
      // On HTTP/2 the library would ask by gRPC, which issue 3 brings.
      const settings = new Map([['grpc.AccountsAnonymousCheckAccountExistence.2', 'ws']] as const)
      net.setRemoteConfig(settings, LS.Net.BuildVariant.Production)
      const listener = { onConnectionInterrupted: () => {} }
      const unauth = (await net.connectUnauthenticatedChat(listener)) as UnauthChat
      const stranger = LS.Aci.fromUuid(randomUUID())
      assert.equal(await unauth.accountExists({ account: client.aci }), true)
      assert.equal(await unauth.accountExists({ account: stranger }), false)
      await unauth.disconnect()
    })
  })
