// A new device joins an account and gets its past (signal-api §2.8, §3.3), over libsignal's own connections.
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { ProvisioningAddress } from '../../wire/gen/provisioning.js'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { base64 } from '../client/identity-keys.ts'
import { Link } from '../client/link.ts'
import {
  linkBody,
  linkDevice,
  linkWith,
  Newcomer,
  newKeysOf,
  provisioningEnvelope,
} from '../client/linked-device.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { knock, RawSocket } from '../client/raw-socket.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const limits = { allocateDevice: { bucket: 1000 }, verifyDevice: { bucket: 1000 } }
const PROVISIONING = '/v1/websocket/provisioning/'
let server: Constellation
before(async () => {
  server = await Constellation.open({ config: { limits } })
})
after(() => server.close())

for (const httpVersion of HTTP_VERSIONS)
  describe(`linking over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    const call = (by: Registered, method: string, path: string, json?: unknown) =>
      https.call(method, path, { headers: authorizationOf(by), json })
    const tokenOf = async (by: Registered) => (await call(by, 'GET', '/v1/devices/provisioning/code')).json
    const link = (token: string, by: Registered, spoil: object = {}) =>
      https.call('PUT', '/v1/devices/link', {
        headers: { authorization: basic('anybody', 'a new password') },
        json: { ...linkBody(token, newKeysOf(by)), ...spoil },
      })
    const waitPath = (identifier: string, timeout?: number) =>
      `/v1/devices/wait_for_linked_device/${identifier}${timeout === undefined ? '' : `?timeout=${timeout}`}`
    const openOn = async (one: Constellation) =>
      Link.open(one, await register(one, { httpVersion }), { httpVersion, onDelivered: () => {} })

    test('the whole way: address, message, link, archive; then both devices get messages', async () => {
      const phone = new SignalClient(server, await register(server, { httpVersion }), httpVersion)
      const friend = await SignalClient.create(server, { httpVersion })
      await phone.connect()
      const newcomer = await Newcomer.open(server, httpVersion)
      const token = await fetchJson(phone.link.auth, 'GET', '/v1/devices/provisioning/code')
      assert.equal(token.status, 200)
      const { verificationCode, tokenIdentifier } = token.json
      assert.equal(tokenIdentifier, createHash('sha256').update(verificationCode).digest('base64url'))
      const waiting = fetchJson(phone.link.auth, 'GET', waitPath(tokenIdentifier, 10))
      const envelope = provisioningEnvelope(newcomer.publicKey, phone.account, verificationCode)
      const path = `/v1/provisioning/${encodeURIComponent(await newcomer.address())}`
      const sent = await fetchJson(phone.link.auth, 'PUT', path, { body: base64(envelope) })
      assert.deepEqual([sent.status, sent.body.length], [204, 0])
      const message = await newcomer.message()
      assert.deepEqual(
        [message.aci, message.number, message.provisioningCode],
        [phone.aci.getServiceIdString(), phone.account.number, verificationCode],
      )
      await newcomer.closed()
      assert.equal((await call(phone.account, 'PUT', path, { body: base64(envelope) })).status, 404)

      const linked = await linkWith(https, phone.account, message.provisioningCode, { name: 'laptop' })
      const heard = await waiting
      const { json } = await call(linked, 'GET', '/v1/devices')
      assert.deepEqual([heard.status, heard.json], [200, json.devices[1]])

      const laptop = new SignalClient(server, linked, httpVersion)
      await laptop.connect()
      const archive = fetchJson(laptop.link.auth, 'GET', '/v1/devices/transfer_archive?timeout=10')
      const transferArchive = { cdn: 3, key: randomBytes(20).toString('base64url') }
      const uploaded = await fetchJson(phone.link.auth, 'PUT', '/v1/devices/transfer_archive', {
        destinationDeviceId: heard.json.id,
        destinationDeviceRegistrationId: heard.json.registrationId,
        transferArchive,
      })
      assert.equal(uploaded.status, 204)
      assert.deepEqual((await archive).json, transferArchive)

      await friend.sendText(phone, 'to both')
      for (const device of [phone, laptop]) assert.equal((await device.messages.next()).text, 'to both')
      for (const client of [phone, laptop, friend]) await client.disconnect()
    })

    test('the answer to a link is who one is now, and any user name does', async () => {
      const phone = await register(server, { httpVersion })
      const reply = await link((await tokenOf(phone)).verificationCode, phone)
      assert.deepEqual(reply.json, {
        uuid: phone.aci.getServiceIdString(),
        pni: phone.pni.getRawUuid(),
        deviceId: 2,
      })
      const linked = { ...phone, deviceId: 2, password: 'a new password' }
      assert.equal(
        (await call(linked, 'GET', '/v1/accounts/whoami')).json.uuid,
        phone.aci.getServiceIdString(),
      )
    })

    test('what a token is good for: 403 for any but a fresh one of a primary device', async () => {
      const phone = await register(server, { httpVersion })
      const { verificationCode } = await tokenOf(phone)
      for (const wrong of [
        'x',
        `${verificationCode}x`,
        verificationCode.replace(/^../, 'zz'),
        ` ${verificationCode}`,
      ])
        assert.equal((await link(wrong, phone)).status, 403, wrong)
      assert.equal((await link('', phone)).status, 422)
      assert.equal((await link(verificationCode, phone)).status, 200)
      assert.equal((await link(verificationCode, phone)).status, 403)
      const linked = { ...phone, deviceId: 2, password: 'a new password' }
      assert.equal((await call(linked, 'GET', '/v1/devices/provisioning/code')).status, 401)
    })

    test('what is wrong with a new device: 422 for its form and its keys, 409 for what it cannot do', async () => {
      const phone = await register(server, { httpVersion })
      const { verificationCode: token } = await tokenOf(phone)
      const stranger = await register(server, { httpVersion })
      const { accountAttributes } = linkBody(token, phone.keys)
      const { aciSignedPreKey, pniPqLastResortPreKey } = linkBody(token, stranger.keys)
      const attributes = (fields: object) => ({ accountAttributes: { ...accountAttributes, ...fields } })
      const broken = [
        { aciSignedPreKey },
        { pniPqLastResortPreKey },
        { pniSignedPreKey: null },
        { aciPqLastResortPreKey: undefined },
        { gcmToken: { gcmRegistrationId: 'x' } },
        attributes({ fetchesMessages: false }),
        attributes({ registrationId: 0 }),
        attributes({ registrationId: 0x4000 }),
        attributes({ pniRegistrationId: null }),
        attributes({ capabilities: null }),
        attributes({ name: Buffer.alloc(226).toString('base64') }),
      ]
      for (const spoil of broken)
        assert.equal((await link(token, phone, spoil)).status, 422, JSON.stringify(spoil))
      assert.equal((await link(token, phone, attributes({ capabilities: {} }))).status, 409)
      assert.equal((await link(token, phone, attributes({ capabilities: { spqr: false } }))).status, 409)
      assert.equal((await link(token, phone)).status, 200)
    })

    test('a seventh device finds no room: 411 for its token, and for a token that was there before', async () => {
      const phone = await register(server, { httpVersion })
      const { verificationCode } = await tokenOf(phone)
      for (let device = 2; device <= 6; device++)
        assert.equal((await linkDevice(server, phone, { httpVersion })).deviceId, device)
      const full = { current: 6, max: 6 }
      const late = await link(verificationCode, phone)
      assert.deepEqual([late.status, late.json], [411, full])
      const none = await call(phone, 'GET', '/v1/devices/provisioning/code')
      assert.deepEqual([none.status, none.json], [411, full])
    })

    test('a primary device that has old messages to fetch is answered when it has fetched them', async () => {
      const phone = new SignalClient(server, await register(server, { httpVersion }), httpVersion)
      const friend = await SignalClient.create(server, { httpVersion })
      await friend.sendText(phone, 'from before')
      const { verificationCode, tokenIdentifier } = await tokenOf(phone.account)
      await linkWith(https, phone.account, verificationCode)
      assert.equal((await call(phone.account, 'GET', waitPath(tokenIdentifier, 1))).status, 204)
      const waiting = call(phone.account, 'GET', waitPath(tokenIdentifier, 10))
      await phone.connect()
      assert.equal((await phone.messages.next()).text, 'from before')
      assert.equal((await waiting).json.id, 2)
      for (const client of [phone, friend]) await client.disconnect()
    })

    test('what cannot be waited for is 400, what does not come 204', async () => {
      const phone = await register(server, { httpVersion })
      const linked = await linkDevice(server, phone, { httpVersion })
      const some = randomBytes(32).toString('base64url')
      const wrong = [
        waitPath('x'),
        waitPath('!'.repeat(43)),
        waitPath(randomBytes(31).toString('base64url')),
        waitPath(randomBytes(48).toString('base64url')),
        waitPath(some, 0),
        waitPath(some, 3601),
        waitPath(some, -1),
        waitPath(some, 1.5),
        waitPath(some, Number.NaN),
      ]
      for (const path of wrong) assert.equal((await call(phone, 'GET', path)).status, 400, path)
      assert.equal((await call(linked, 'GET', waitPath(some, 1))).status, 400)
      for (const path of [
        'transfer_archive?timeout=0',
        'restore_account/x?timeout=3601',
        `restore_account/${'x'.repeat(65)}`,
      ])
        assert.equal((await call(phone, 'GET', `/v1/devices/${path}`)).status, 400, path)
      const nothing = [
        call(phone, 'GET', waitPath(some, 1)),
        call(linked, 'GET', '/v1/devices/transfer_archive?timeout=1'),
        call(linked, 'GET', `/v1/devices/restore_account/${randomUUID()}?timeout=1`),
      ]
      for (const { status, body } of await Promise.all(nothing))
        assert.deepEqual([status, body.length], [204, 0])
    })

    test('how a new device wants the data is told without saying who asks', async () => {
      const phone = await openOn(server)
      const path = `/v1/devices/restore_account/${randomUUID()}`
      const waiting = fetchJson(phone.unauth, 'GET', `${path}?timeout=10`)
      const request = {
        method: 'LOCAL_BACKUP',
        deviceTransferBootstrap: base64(randomBytes(31)).replace(/=+$/, ''),
      }
      assert.equal((await https.call('PUT', path, { json: request })).status, 204)
      assert.deepEqual((await waiting).json, request)
      assert.deepEqual((await https.call('GET', path)).json, request)
      for (const json of [
        {},
        { method: 'X' },
        { ...request, deviceTransferBootstrap: base64(Buffer.alloc(4097)) },
      ])
        assert.equal((await https.call('PUT', path, { json })).status, 422)
      await phone.close()
    })

    test('an archive that cannot be had is told as such, and a half one is 422', async () => {
      const phone = await register(server, { httpVersion })
      const linked = await linkDevice(server, phone, { httpVersion })
      const to = {
        destinationDeviceId: 2,
        destinationDeviceRegistrationId: linked.keys.aci.registrationId,
      }
      const put = (transferArchive: unknown) =>
        call(phone, 'PUT', '/v1/devices/transfer_archive', { ...to, transferArchive })
      for (const wrong of [
        {},
        { cdn: 3 },
        { key: 'x' },
        { error: 'X' },
        { cdn: 3, key: 'x'.repeat(65) },
        null,
      ])
        assert.equal((await put(wrong)).status, 422, JSON.stringify(wrong))
      assert.equal((await put({ error: 'CONTINUE_WITHOUT_UPLOAD' })).status, 204)
      const { json } = await call(linked, 'GET', '/v1/devices/transfer_archive')
      assert.deepEqual(json, { error: 'CONTINUE_WITHOUT_UPLOAD' })
    })

    test('the provisioning socket: an address, its own keepalive, and nothing else', async () => {
      await using socket = await RawSocket.open(server.ready, httpVersion, { path: PROVISIONING })
      const asked = await socket.requests.next()
      assert.deepEqual([asked.verb, asked.path], ['PUT', '/v1/address'])
      assert.match(asked.headers.join(), /^X-Signal-Timestamp:\d{13}$/)
      assert.match(ProvisioningAddress.decode(asked.body).address, /^[\w-]{22}==$/)
      assert.equal((await socket.ask('GET', '/v1/keepalive/provisioning')).status, 200)
      for (const path of ['/v1/keepalive', '/v2/config', '/v1/devices', '/v1/verification/session/x'])
        assert.equal((await socket.ask('GET', path)).status, 404, path)
      assert.equal((await https.call('GET', '/v1/keepalive/provisioning')).status, 404)
      await using other = await RawSocket.open(server.ready, httpVersion)
      assert.equal((await other.ask('GET', '/v1/keepalive/provisioning')).status, 404)
      const { headers } = await knock(server.ready, httpVersion, { path: '/v1/websocket/provisioning/x' })
      assert.match(headers['x-signal-timestamp'] ?? '', /^\d{13}$/)
    })

    test('a provisioning message goes on as it is, line breaks or not, and the socket ends with its answer', async () => {
      const phone = await register(server, { httpVersion })
      const message = randomBytes(3_000)
      const written = [
        base64(message),
        base64(message).replace(/.{76}/g, '$&\r\n'),
        message.toString('base64url'),
      ]
      for (const body of written) {
        await using socket = await RawSocket.open(server.ready, httpVersion, { path: PROVISIONING })
        const { address } = ProvisioningAddress.decode((await socket.requests.next()).body)
        assert.equal((await call(phone, 'PUT', `/v1/provisioning/${address}`, { body })).status, 204)
        const request = await socket.requests.next()
        assert.deepEqual([request.path, Buffer.from(request.body)], ['/v1/message', message])
        socket.answer(request, 200)
        assert.deepEqual(await socket.closed(), { code: 1000, reason: 'Closed' })
      }
    })

    test('a message to nobody is 404, one that is too long 400, and none is 422', async () => {
      const phone = await register(server, { httpVersion })
      const put = (body: unknown) =>
        call(phone, 'PUT', `/v1/provisioning/${randomBytes(16).toString('base64url')}`, { body })
      assert.equal((await put('AAAA')).status, 404)
      assert.equal((await put('A'.repeat(256 * 1024))).status, 404)
      assert.equal((await put('A'.repeat(256 * 1024 + 4))).status, 400)
      for (const body of ['', null, 5]) assert.equal((await put(body)).status, 422)
    })

    test('a server that stops answers whoever waits', async () => {
      const own = await Constellation.open()
      const phone = await openOn(own)
      const waiting = fetchJson(
        phone.unauth,
        'GET',
        `/v1/devices/restore_account/${randomUUID()}?timeout=3600`,
      )
      // What is asked later on the same socket is answered: the wait has arrived.
      await fetchJson(phone.unauth, 'GET', '/v1/keepalive')
      const atMs = performance.now()
      await own.close()
      assert.ok(performance.now() - atMs < 3_000)
      assert.equal((await waiting).status, 204)
      await phone.close()
    })
  })
