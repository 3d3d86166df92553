// Accounts of more than one device.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { authorizationOf, Https } from '../client/https.ts'
import { linkDevice } from '../client/linked-device.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { untilNothingWaits } from '../client/queue.ts'
import { copyFor, messageFor } from '../client/raw-message.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

for (const httpVersion of HTTP_VERSIONS)
  describe(`several devices over HTTP/${httpVersion}`, () => {
    let server: Constellation
    let https: Https
    let phone: SignalClient
    let laptop: SignalClient
    let friend: SignalClient
    let stranger: Registered
    before(async () => {
      server = await Constellation.open()
      const primary = await register(server, { httpVersion })
      const other = await register(server, { httpVersion })
      stranger = await register(server, { httpVersion })
      const linked = await linkDevice(server, primary, { httpVersion })
      https = Https.open(server.ready, httpVersion)
      phone = new SignalClient(server, primary, httpVersion)
      laptop = new SignalClient(server, linked, httpVersion)
      friend = new SignalClient(server, other, httpVersion)
      for (const client of [phone, laptop, friend]) await client.connect()
    })
    after(async () => {
      for (const client of [phone, laptop, friend]) await client.disconnect()
      await https[Symbol.asyncDispose]()
      await server.close()
    })

    const put = (from: Registered, to: LS.ServiceId, json: object) =>
      https.call('PUT', `/v1/messages/${to.getServiceIdString()}`, { headers: authorizationOf(from), json })

    test('the bundle of all devices has one for each, with its own registration id', async () => {
      const path = `/v2/keys/${phone.aci.getServiceIdString()}/*`
      const { json } = await https.call('GET', path, { headers: authorizationOf(stranger) })
      assert.deepEqual(
        json.devices.map((device: { deviceId: number; registrationId: number }) => [
          device.deviceId,
          device.registrationId,
        ]),
        [phone, laptop].map(({ account }) => [account.deviceId, account.keys.aci.registrationId]),
      )
    })

    test('the list of devices tells both, to either', async () => {
      for (const { account } of [phone, laptop]) {
        const { json } = await https.call('GET', '/v1/devices', { headers: authorizationOf(account) })
        assert.deepEqual(
          json.devices.map(({ id }: { id: number }) => id),
          [1, 2],
        )
      }
    })

    test('a message reaches every device, and each tells the sender so', async () => {
      const sent = await friend.sendText(phone, 'to both')
      assert.equal((await phone.messages.next()).text, 'to both')
      assert.equal((await laptop.messages.next()).text, 'to both')
      const receipts = [await friend.receipts.next(), await friend.receipts.next()]
      assert.deepEqual(
        receipts.map(({ timestampMs }) => timestampMs),
        [sent, sent],
      )
      assert.deepEqual(receipts.map(({ envelope }) => envelope.sourceDevice).sort(), [1, 2])
    })

    test('a receipt reaches every device of the sender', async () => {
      const sent = await laptop.sendText(friend, 'from the laptop')
      const { deviceId } = await friend.messages.next()
      assert.equal(deviceId, 2)
      assert.equal((await phone.receipts.next()).timestampMs, sent)
      assert.equal((await laptop.receipts.next()).timestampMs, sent)
    })

    test('a sync message reaches the other device only, without a receipt', async () => {
      await laptop.sendSyncText('I wrote this')
      const { text, from, deviceId } = await phone.messages.next()
      assert.deepEqual([text, from, deviceId], ['I wrote this', phone.aci.getServiceIdString(), 2])
      await phone.sendSyncText('so did I')
      assert.equal((await laptop.messages.next()).text, 'so did I')
      await phone.disconnect()
      await laptop.disconnect()
      await untilNothingWaits(server, phone.account, httpVersion)
      await untilNothingWaits(server, laptop.account, httpVersion)
      await phone.connect()
      await laptop.connect()
    })

    test('the sender of two devices is told to sync', async () => {
      const reply = await put(laptop.account, stranger.aci, messageFor(stranger))
      assert.deepEqual([reply.status, reply.json], [200, { needsSync: true }])
    })

    test('every kind of mismatch: stale devices first, then what is missing and what is too much', async () => {
      const [one, two] = [copyFor(phone.account), copyFor(laptop.account)]
      const three = { ...two, destinationDeviceId: 3 }
      const stale = { ...one, destinationRegistrationId: (one.destinationRegistrationId % 16_000) + 1 }
      const cases: [object[], number, object][] = [
        [[one], 409, { missingDevices: [2], extraDevices: [] }],
        [[two, three], 409, { missingDevices: [1], extraDevices: [3] }],
        [[stale, three], 410, { staleDevices: [1] }],
        [[stale, two], 410, { staleDevices: [1] }],
      ]
      for (const [messages, status, json] of cases) {
        const reply = await put(stranger, phone.aci, { ...messageFor(stranger), messages })
        assert.deepEqual([reply.status, reply.json], [status, json])
      }
      const sync = await put(phone.account, phone.aci, { ...messageFor(stranger), messages: [one, two] })
      assert.deepEqual([sync.status, sync.json], [409, { missingDevices: [], extraDevices: [1] }])
      const other = await put(laptop.account, phone.aci, { ...messageFor(stranger), messages: [two] })
      assert.deepEqual([other.status, other.json], [409, { missingDevices: [1], extraDevices: [2] }])
    })

    test('a rejected message reaches none of the devices', async () => {
      const copies = [phone, laptop].map(({ account }) => copyFor(account))
      const messages = [...copies, { ...copies[0], destinationDeviceId: 3 }]
      assert.equal((await put(stranger, phone.aci, { ...messageFor(stranger), messages })).status, 409)
      await friend.sendText(phone, 'what was next')
      for (const device of [phone, laptop]) {
        assert.equal((await device.messages.next()).text, 'what was next')
        assert.deepEqual(device.unreadable.all, [])
      }
    })

    test('a connection of one device does not displace that of another', async () => {
      await phone.connect()
      await laptop.connect()
      await phone.link.queueEmpty()
      assert.ok(phone.link.isOpen && laptop.link.isOpen)
    })

    test('registering again removes the linked device, and sends all sockets away', async () => {
      const { link: first } = phone
      const { link: second } = laptop
      const anew = new SignalClient(
        server,
        await register(server, { number: phone.account.number, httpVersion }),
        httpVersion,
      )
      for (const link of [first, second])
        assert.equal((await link.interrupted())?.code, LS.ErrorCode.ConnectionInvalidated)
      await assert.rejects(laptop.connect(), { code: LS.ErrorCode.DeviceDelinked })
      await anew.connect()
      await friend.sendText(anew, 'only one device now')
      assert.equal((await anew.messages.next()).text, 'only one device now')
      await anew.disconnect()
    })
  })
