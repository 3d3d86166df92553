// Sending to one account (signal-api §2.11): who may, to which devices, how much.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { untilNothingWaits } from '../client/queue.ts'
import { copyFor, messageFor } from '../client/raw-message.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const MAX_CONTENT_BYTES = 96 * 1024
let server: Constellation
before(async () => {
  server = await Constellation.open()
})
after(() => server.close())

const uak = (key: Uint8Array) => ({ 'unidentified-access-key': Buffer.from(key).toString('base64') })

for (const httpVersion of HTTP_VERSIONS)
  describe(`sending over HTTP/${httpVersion}`, () => {
    let https: Https
    let ada: SignalClient
    let bob: SignalClient
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      ada = await SignalClient.create(server, { httpVersion })
      bob = await SignalClient.create(server, { httpVersion })
    })
    after(async () => {
      await ada.disconnect()
      await bob.disconnect()
      await https[Symbol.asyncDispose]()
    })

    const put = (destination: string, json: object, headers: Readonly<Record<string, string>>, query = '') =>
      https.call('PUT', `/v1/messages/${destination}${query}`, { headers, json })
    const toBob = (json: object, headers: Readonly<Record<string, string>> = authorizationOf(ada.account)) =>
      put(bob.aci.getServiceIdString(), json, headers)
    const newAccount = () => register(server, { httpVersion })

    test('an envelope tells who sent what to whom, in binary and in text', async () => {
      const startedMs = Date.now()
      const timestampMs = await ada.sendText(bob, 'who am I?', { urgent: false })
      const { envelope } = await bob.messages.next()
      assert.equal(envelope.clientTimestamp, timestampMs)
      assert.ok(envelope.serverTimestamp >= startedMs && envelope.serverTimestamp <= Date.now())
      assert.equal(envelope.sourceDevice, 1)
      assert.deepEqual(Buffer.from(envelope.sourceServiceId), Buffer.from(ada.aci.getServiceIdBinary()))
      assert.deepEqual(Buffer.from(envelope.destinationServiceId), Buffer.from(bob.aci.getServiceIdBinary()))
      assert.equal(envelope.sourceServiceIdText, ada.aci.getServiceIdString())
      assert.equal(envelope.destinationServiceIdText, bob.aci.getServiceIdString())
      assert.equal(envelope.serverGuid.length, 16)
      assert.equal(
        envelope.serverGuidText.replaceAll('-', ''),
        Buffer.from(envelope.serverGuid).toString('hex'),
      )
      assert.deepEqual([envelope.urgent, envelope.story, envelope.ephemeral], [false, false, false])
    })

    test('a sealed envelope has no trace of its sender', async () => {
      await ada.sendText(bob, 'guess who', { sealed: true })
      const received = await bob.messages.next()
      assert.equal(received.from, ada.aci.getServiceIdString())
      assert.equal(received.envelope.type, 6)
      assert.equal(received.envelope.sourceServiceId.length, 0)
      assert.equal(received.envelope.sourceServiceIdText, '')
      assert.equal(received.envelope.sourceDevice, 0)
      assert.equal(received.envelope.urgent, true)
    })

    test('a message to a phone number’s identity is read with its keys', async () => {
      await ada.sendText(bob, 'dear number', { to: 'pni' })
      const { text, envelope } = await bob.messages.next()
      assert.equal(text, 'dear number')
      assert.equal(envelope.destinationServiceIdText, bob.pni.getServiceIdString())
    })

    test('a message of Content of all sizes up to the limit arrives whole', async () => {
      const sizes = [1, 1000, 65_536, 90_000]
      for (const size of sizes) {
        await ada.sendText(bob, 'x'.repeat(size))
        assert.equal((await bob.messages.next()).text.length, size)
      }
    })

    test('content may have 96 KiB and not a byte more', async () => {
      const target = await newAccount()
      const send = (bytes: number) =>
        put(
          target.aci.getServiceIdString(),
          { ...messageFor(target), messages: [copyFor(target, bytes)] },
          authorizationOf(ada.account),
        )
      assert.equal((await send(MAX_CONTENT_BYTES)).status, 200)
      const { status, body } = await send(MAX_CONTENT_BYTES + 1)
      assert.deepEqual([status, body.length], [413, 0])
    })

    test('the sender of one device needs to sync nothing', async () => {
      const target = await newAccount()
      const reply = await put(
        target.aci.getServiceIdString(),
        messageFor(target),
        authorizationOf(ada.account),
      )
      assert.deepEqual([reply.status, reply.json], [200, { needsSync: false }])
    })

    test('devices that are missing, too many or changed are named, the changed ones first', async () => {
      const target = await newAccount()
      const send = (messages: object[]) =>
        put(
          target.aci.getServiceIdString(),
          { ...messageFor(target), messages },
          authorizationOf(ada.account),
        )
      const right = copyFor(target)
      const other = { ...right, destinationDeviceId: 3 }
      const stale = { ...right, destinationRegistrationId: (right.destinationRegistrationId % 16_000) + 1 }
      const extra = await send([right, other])
      assert.deepEqual([extra.status, extra.json], [409, { missingDevices: [], extraDevices: [3] }])
      const missing = await send([other])
      assert.deepEqual([missing.status, missing.json], [409, { missingDevices: [1], extraDevices: [3] }])
      const gone = await send([stale, other])
      assert.deepEqual([gone.status, gone.json], [410, { staleDevices: [1] }])
    })

    test('to a phone number’s identity its own registration id counts', async () => {
      const target = await newAccount()
      const destination = target.pni.getServiceIdString()
      const headers = authorizationOf(ada.account)
      const wrong = await put(destination, messageFor(target), headers)
      assert.deepEqual([wrong.status, wrong.json], [410, { staleDevices: [1] }])
      const messages = [{ ...copyFor(target), destinationRegistrationId: target.keys.pni.registrationId }]
      assert.equal((await put(destination, { ...messageFor(target), messages }, headers)).status, 200)
    })

    test('a message that breaks its contract is 422', async () => {
      const copy = copyFor(bob.account)
      const spoilt = [
        { messages: [] },
        { messages: [copy, copy] },
        { messages: [{ ...copy, type: 5 }] },
        { messages: [{ ...copy, type: 2 }] },
        { messages: [{ ...copy, content: '' }] },
        { messages: [{ ...copy, content: '***' }] },
        { messages: [{ ...copy, destinationDeviceId: 0 }] },
        { messages: [copy], timestamp: -1 },
        { messages: [copy], timestamp: 8_640_000_000_000_001 },
        { messages: [copy], online: 'yes' },
        {},
      ]
      for (const json of spoilt) assert.equal((await toBob(json)).status, 422, JSON.stringify(json))
      const nowhere = await put('garbage', { messages: [copy] }, authorizationOf(ada.account))
      assert.equal(nowhere.status, 422)
    })

    test('a device learns that an account is unknown; a stranger does not', async () => {
      const json = messageFor(bob.account)
      assert.equal((await put(randomUUID(), json, authorizationOf(ada.account))).status, 404)
      const stranger = await put(randomUUID(), json, uak(bob.accessKey))
      assert.deepEqual([stranger.status, stranger.body.length], [401, 0])
    })

    test('a stranger without the right key is 401, and a token beside other proof 400', async () => {
      const json = messageFor(bob.account)
      const token = { 'group-send-token': 'AAAA' }
      assert.equal((await toBob(json, {})).status, 401)
      assert.equal((await toBob(json, uak(new Uint8Array(16)))).status, 401)
      assert.equal((await toBob(json, { 'unidentified-access-key': '!' })).status, 401)
      assert.equal((await toBob(json, token)).status, 401)
      assert.equal((await toBob(json, { ...token, ...authorizationOf(ada.account) })).status, 400)
      assert.equal((await toBob(json, { ...token, ...uak(bob.accessKey) })).status, 400)
      const pni = await put(bob.pni.getServiceIdString(), json, uak(bob.accessKey))
      assert.equal(pni.status, 401)
    })

    test('whoever lets everybody in is reached with any key', async () => {
      const open = await register(server, { httpVersion, unrestrictedUnidentifiedAccess: true })
      const json = messageFor(open)
      const reply = await put(open.aci.getServiceIdString(), json, uak(new Uint8Array(16)))
      assert.deepEqual([reply.status, reply.json], [200, { needsSync: false }])
    })

    test("to the sender's own number it is 403, and to its own device 409", async () => {
      const json = messageFor(ada.account)
      const headers = authorizationOf(ada.account)
      assert.equal((await put(ada.pni.getServiceIdString(), json, headers)).status, 403)
      const sync = await put(ada.aci.getServiceIdString(), json, headers)
      assert.deepEqual([sync.status, sync.json], [409, { missingDevices: [], extraDevices: [1] }])
    })

    test('stories need no proof, tell nobody who exists, and go to who wants them', async () => {
      const target = await newAccount()
      const story = (destination: string, headers = {}) =>
        put(destination, messageFor(target), headers, '?story=true')
      const stranger = await story(randomUUID())
      assert.deepEqual([stranger.status, stranger.json], [200, { needsSync: false }])
      assert.equal((await story(target.aci.getServiceIdString())).status, 200)
      assert.equal((await story(target.aci.getServiceIdString(), { 'group-send-token': 'AAAA' })).status, 400)
      await using viewer = new SignalClient(server, target, httpVersion)
      await viewer.connect({ receiveStories: true })
      const { envelope } = await viewer.unreadable.next()
      assert.equal(envelope.story, true)
      assert.equal(envelope.sourceServiceId.length, 0)
    })

    test('a story to who did not ask for stories is swallowed', async () => {
      const target = await newAccount()
      const destination = target.aci.getServiceIdString()
      await put(destination, messageFor(target), {}, '?story=true')
      await put(destination, messageFor(target), authorizationOf(ada.account))
      const client = new SignalClient(server, target, httpVersion)
      await client.connect()
      await client.link.queueEmpty()
      await client.settled()
      assert.deepEqual(
        client.unreadable.all.map(({ envelope }) => envelope.story),
        [false],
      )
      await put(destination, messageFor(target), {}, '?story=true')
      await put(destination, messageFor(target), authorizationOf(ada.account))
      await client.unreadable.size(2)
      await client.disconnect()
      await untilNothingWaits(server, target, httpVersion)
      assert.equal(client.unreadable.all.length, 2)
    })

    test('more than the limiter allows from one to another is 429 and told when to go on', async () => {
      const [sender, target] = [await newAccount(), await newAccount()]
      const send = (from: Registered) =>
        put(target.aci.getServiceIdString(), messageFor(target), authorizationOf(from))
      const statuses = await Promise.all(Array.from({ length: 70 }, () => send(sender)))
      const sent = statuses.filter(({ status }) => status === 200).length
      assert.ok(sent >= 60 && sent < 70, `${sent} were taken`)
      const refused = statuses.find(({ status }) => status === 429)
      assert.equal(refused?.headers['retry-after'], '1')
      assert.equal((await send(ada.account)).status, 200)
    })

    test('libsignal tells the refusals apart', async () => {
      const target = await newAccount()
      const { auth, unauth } = ada.link
      const contents = await ada.encryptFor(bob, 'opaque')
      const timestamp = ada.nextTimestamp()
      const common = { timestamp, onlineOnly: false, urgent: true }
      const stranger = LS.Aci.fromUuid(randomUUID())
      await assert.rejects(auth.sendMessage({ ...common, destination: stranger, contents }), {
        code: LS.ErrorCode.ServiceIdNotFound,
      })
      const mismatched = auth.sendMessage({
        ...common,
        destination: target.aci,
        contents: [
          { deviceId: 4, registrationId: 77, contents: contents[0]!.contents },
          { deviceId: 5, registrationId: 78, contents: contents[0]!.contents },
        ],
      })
      await assert.rejects(mismatched, (error) => {
        assert.ok(LS.LibSignalErrorBase.is(error, LS.ErrorCode.MismatchedDevices))
        assert.equal(error.entries.length, 1)
        const { account, missingDevices, extraDevices, staleDevices } = error.entries[0]!
        assert.ok(account.isEqual(target.aci))
        assert.deepEqual([missingDevices, extraDevices, staleDevices], [[1], [4, 5], []])
        return true
      })
      const sealed = [
        { deviceId: 1, registrationId: target.keys.aci.registrationId, contents: new Uint8Array(9) },
      ]
      const asStranger = { ...common, destination: target.aci, contents: sealed }
      await assert.rejects(unauth.sendMessage({ ...asStranger, auth: { accessKey: new Uint8Array(16) } }), {
        code: LS.ErrorCode.RequestUnauthorized,
      })
      await unauth.sendMessage({ ...asStranger, auth: { accessKey: target.accessKey } })
      await unauth.sendMessage({ ...asStranger, auth: 'story' })
      await assert.rejects(unauth.sendMessage({ ...asStranger, auth: 'unrestricted' }), {
        code: LS.ErrorCode.RequestUnauthorized,
      })
    })

    test('a sender that knows an old device finds the new one by itself', async () => {
      const { number } = await newAccount()
      const old = new SignalClient(server, await register(server, { number, httpVersion }), httpVersion)
      await ada.sendText(old, 'for the old device')
      await using anew = new SignalClient(
        server,
        await register(server, { number, httpVersion }),
        httpVersion,
      )
      await anew.connect()
      await ada.sendText(anew, 'for the new device')
      assert.equal((await anew.messages.next()).text, 'for the new device')
    })

    test('a message on the socket is the same as one over plain HTTPS', async () => {
      const target = await newAccount()
      const path = `/v1/messages/${target.aci.getServiceIdString()}`
      const identified = await fetchJson(ada.link.auth, 'PUT', path, messageFor(target))
      assert.deepEqual([identified.status, identified.json], [200, { needsSync: false }])
      const key = uak(target.accessKey)
      const sealed = await fetchJson(ada.link.unauth, 'PUT', path, messageFor(target), key)
      assert.deepEqual([sealed.status, sealed.json], [200, { needsSync: false }])
      const refused = await fetchJson(ada.link.unauth, 'PUT', path, messageFor(target))
      assert.deepEqual([refused.status, refused.body.length], [401, 0])
    })
  })
