// The devices of an account: listed, named, removed, woken (signal-api §2.8, §2.9).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { Devices } from '../../wire/gen/device.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { linkDevice } from '../client/linked-device.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const limits = { allocateDevice: { bucket: 1000 }, verifyDevice: { bucket: 1000 } }
let server: Constellation
before(async () => {
  server = await Constellation.open({ config: { limits } })
})
after(() => server.close())

type Listed = {
  id: number
  name: string | null
  registrationId: number
  lastSeen: number
  createdAtCiphertext: string
}

/** When a device was made, as its account's devices read it. */
function createdAt({ keys }: Registered, { id, registrationId }: Listed, ciphertext: Uint8Array): number {
  const about = Buffer.alloc(5)
  about.writeUInt8(id)
  about.writeUInt32BE(registrationId, 1)
  const { privateKey } = keys.aci.pair
  const opened = privateKey.open(new Uint8Array(ciphertext), 'deviceCreatedAt', new Uint8Array(about))
  return Number(Buffer.from(opened).readBigUInt64BE())
}

for (const httpVersion of HTTP_VERSIONS)
  describe(`devices over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    const call = (by: Registered, method: string, path: string, json?: unknown) =>
      https.call(method, path, { headers: authorizationOf(by), json })
    const listed = async (by: Registered): Promise<Listed[]> =>
      (await call(by, 'GET', '/v1/devices')).json.devices
    const family = async () => {
      const phone = await register(server, { httpVersion })
      const laptop = await linkDevice(server, phone, { httpVersion, name: 'laptop' })
      const tablet = await linkDevice(server, phone, { httpVersion })
      return { phone, laptop, tablet }
    }

    test('the list has every device, with its encrypted name and time of creation', async () => {
      const startMs = Date.now()
      const { phone, laptop, tablet } = await family()
      for (const by of [phone, laptop, tablet]) {
        const [one, two, three] = await listed(by)
        assert.deepEqual([one!.id, two!.id, three!.id], [1, 2, 3])
        assert.deepEqual([one!.name, two!.name], [null, Buffer.from('laptop').toString('base64')])
        assert.equal(two!.registrationId, laptop.keys.aci.registrationId)
        assert.equal(two!.lastSeen % 86_400_000, 0)
        assert.doesNotMatch(two!.createdAtCiphertext, /=/)
        for (const device of [one!, two!, three!]) {
          const atMs = createdAt(phone, device, Buffer.from(device.createdAtCiphertext, 'base64'))
          assert.ok(atMs >= startMs && atMs <= Date.now())
        }
      }
    })

    test('a device that is removed loses its socket within a second, its credentials, and its sessions', async () => {
      const { phone, laptop } = await family()
      const friend = await SignalClient.create(server, { httpVersion })
      const one = new SignalClient(server, phone, httpVersion)
      const two = new SignalClient(server, laptop, httpVersion)
      for (const client of [one, two]) await client.connect()
      await friend.sendText(one, 'to three')
      const atMs = performance.now()
      const reply = await fetchJson(one.link.auth, 'DELETE', '/v1/devices/2')
      assert.deepEqual([reply.status, reply.body.length], [204, 0])
      const cause = await two.link.interrupted()
      assert.ok(performance.now() - atMs < 1_000)
      assert.equal(cause?.code, LS.ErrorCode.ConnectionInvalidated)
      await assert.rejects(two.connect(), { code: LS.ErrorCode.DeviceDelinked })
      assert.equal((await call(laptop, 'GET', '/v1/devices')).status, 401)
      assert.deepEqual(
        (await listed(phone)).map(({ id }) => id),
        [1, 3],
      )
      const path = `/v2/keys/${phone.aci.getServiceIdString()}/2`
      assert.equal((await call(friend.account, 'GET', path)).status, 404)
      await friend.sendText(one, 'to two')
      assert.equal((await one.messages.next()).text, 'to three')
      assert.equal((await one.messages.next()).text, 'to two')
      for (const client of [one, two, friend]) await client.disconnect()
    })

    test('who may remove whom', async () => {
      const { phone, laptop } = await family()
      assert.equal((await call(laptop, 'DELETE', '/v1/devices/3')).status, 401)
      assert.equal((await call(laptop, 'DELETE', '/v1/devices/1')).status, 401)
      assert.equal((await call(phone, 'DELETE', '/v1/devices/1')).status, 403)
      assert.equal((await call(phone, 'DELETE', '/v1/devices/9')).status, 204)
      assert.equal((await call(laptop, 'DELETE', '/v1/devices/2')).status, 204)
      assert.equal((await call(laptop, 'DELETE', '/v1/devices/2')).status, 401)
    })

    test('who may name whom, with or without a slash at the end', async () => {
      const { phone, laptop } = await family()
      const json = { deviceName: Buffer.from('a new name').toString('base64') }
      assert.equal((await call(laptop, 'PUT', '/v1/accounts/name/', json)).status, 204)
      assert.equal((await call(phone, 'PUT', '/v1/accounts/name?deviceId=3', json)).status, 204)
      assert.equal((await call(laptop, 'PUT', '/v1/accounts/name/?deviceId=3', json)).status, 403)
      assert.equal((await call(phone, 'PUT', '/v1/accounts/name/?deviceId=9', json)).status, 404)
      for (const deviceName of ['', Buffer.alloc(226).toString('base64'), undefined, 5])
        assert.equal((await call(phone, 'PUT', '/v1/accounts/name/', { deviceName })).status, 422)
      assert.deepEqual(
        (await listed(phone)).map(({ name }) => name),
        [null, json.deviceName, json.deviceName],
      )
    })

    test('push tokens are taken and given up, also inside the socket', async () => {
      const { laptop } = await family()
      const client = new SignalClient(server, laptop, httpVersion)
      await client.connect()
      const inSocket = (method: string, path: string, json?: unknown) =>
        fetchJson(client.link.auth, method, path, json)
      const overHttps = (method: string, path: string, json?: unknown) => call(laptop, method, path, json)
      for (const ask of [inSocket, overHttps]) {
        assert.equal((await ask('PUT', '/v1/accounts/gcm/', { gcmRegistrationId: 'x' })).status, 204)
        assert.equal((await ask('PUT', '/v1/accounts/apn/', { apnRegistrationId: 'x' })).status, 204)
        assert.equal((await ask('DELETE', '/v1/accounts/gcm/')).status, 204)
        assert.equal((await ask('DELETE', '/v1/accounts/apn/')).status, 204)
        assert.equal((await ask('PUT', '/v1/accounts/gcm/', { gcmRegistrationId: '' })).status, 422)
        assert.equal((await ask('PUT', '/v1/accounts/apn/', {})).status, 422)
        assert.equal(
          (await ask('PUT', '/v1/devices/capabilities', { spqr: true, nonsense: true })).status,
          204,
        )
      }
      await client.disconnect()
    })
  })

describe('devices over gRPC', () => {
  let grpc: GrpcClient
  before(() => {
    grpc = GrpcClient.open(server.ready)
  })
  after(() => grpc[Symbol.asyncDispose]())

  test("libsignal's own calls: list, name, capabilities, token, remove", async () => {
    const phone = await register(server)
    const laptop = await linkDevice(server, phone, { name: 'laptop' })
    const [one, two] = [phone, laptop].map((account) => new SignalClient(server, account, 2)) as [
      SignalClient,
      SignalClient,
    ]
    for (const client of [one, two]) await client.connect()
    const [primary, linked] = await two.link.auth.getDevices()
    assert.deepEqual([primary!.id, linked!.id], [1, 2])
    assert.equal(Buffer.from(linked!.encryptedName).toString(), 'laptop')
    assert.equal(linked!.registrationId, laptop.keys.aci.registrationId)
    const atMs = createdAt(phone, linked as unknown as Listed, linked!.createdAtCiphertext)
    assert.ok(Math.abs(Date.now() - atMs) < 60_000)
    const encryptedName = new Uint8Array(Buffer.from('renamed'))
    await one.link.auth.setDeviceName({ deviceId: 2, encryptedName })
    const [, renamed] = await one.link.auth.getDevices()
    assert.deepEqual(renamed!.encryptedName, encryptedName)
    await assert.rejects(one.link.auth.setDeviceName({ deviceId: 5, encryptedName }), {
      code: LS.ErrorCode.DeviceIdNotFound,
    })
    await two.link.auth.setCapabilities({ capabilities: new Set(['sparsePostQuantumRatchet']) })
    await two.link.auth.clearPushToken()
    await one.link.auth.removeDevice({ deviceId: 2 })
    assert.equal((await two.link.interrupted())?.code, LS.ErrorCode.ConnectionInvalidated)
    await one.link.auth.removeDevice({ deviceId: 2 })
    assert.equal((await one.link.auth.getDevices()).length, 1)
    for (const client of [one, two]) await client.disconnect()
  })

  test('what is against the contract is INVALID_ARGUMENT, with its reason', async () => {
    const phone = await register(server)
    const laptop = await linkDevice(server, phone)
    const { rpcs } = Devices
    const by = authorizationOf
    const name = Buffer.from('x')
    const broken = [
      await grpc.call(rpcs.removeDevice, { id: 1 }, by(phone)),
      await grpc.call(rpcs.removeDevice, { id: 0 }, by(phone)),
      await grpc.call(rpcs.removeDevice, { id: 128 }, by(phone)),
      await grpc.call(rpcs.setDeviceName, { id: 1, name: Buffer.alloc(0) }, by(phone)),
      await grpc.call(rpcs.setDeviceName, { id: 1, name: Buffer.alloc(226) }, by(phone)),
      await grpc.call(rpcs.setDeviceName, { id: 200, name }, by(phone)),
      await grpc.call(rpcs.setPushToken, {}, by(phone)),
      await grpc.call(rpcs.setPushToken, { fcmTokenRequest: { fcmToken: '' } }, by(phone)),
      await grpc.call(rpcs.setCapabilities, { capabilities: [0] }, by(phone)),
      await grpc.call(rpcs.setCapabilities, { capabilities: [99] }, by(phone)),
    ]
    for (const { code, reason } of broken) assert.deepEqual([code, reason], [3, 'CONSTRAINT_VIOLATED'])
    const others = [
      await grpc.call(rpcs.removeDevice, { id: 3 }, by(laptop)),
      await grpc.call(rpcs.setDeviceName, { id: 1, name }, by(laptop)),
    ]
    for (const { code, reason } of others) assert.deepEqual([code, reason], [3, 'BAD_AUTHENTICATION'])
  })

  test('a push token is set by either service, and cleared for good', async () => {
    const phone = await register(server)
    const { rpcs } = Devices
    const headers = authorizationOf(phone)
    const answers = [
      await grpc.call(rpcs.setPushToken, { apnsTokenRequest: { apnsToken: 'a' } }, headers),
      await grpc.call(rpcs.setPushToken, { fcmTokenRequest: { fcmToken: 'f' } }, headers),
      await grpc.call(rpcs.clearPushToken, {}, headers),
    ]
    assert.deepEqual(
      answers.map(({ code }) => code),
      [0, 0, 0],
    )
  })
})
