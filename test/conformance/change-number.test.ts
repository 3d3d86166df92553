// An account changes its number, and its other devices learn the new keys (signal-api §2.6).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { Accounts } from '../../wire/gen/account.js'
import { SendMessageType } from '../../wire/gen/messages.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { base64, makeIdentityKeys, signedJson } from '../client/identity-keys.ts'
import { linkDevice } from '../client/linked-device.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { newNumber, type Registered, register, verifiedSession } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const HOUR_MS = 3_600_000
/** An account whose primary device and another have been here for long, and somebody else; for each way to ask. */
type Cast = { readonly ada: Registered; readonly linked: Registered; readonly boris: Registered }
let server: Constellation
const casts: Cast[] = []
before(async () => {
  server = await Constellation.open({ config: { limits: { registration: { bucket: 100 } } } })
  for (let count = 0; count <= HTTP_VERSIONS.length; count++) {
    const ada = await register(server)
    casts.push({ ada, linked: await linkDevice(server, ada), boris: await register(server) })
  }
  await server.restart(async (sql) => {
    const older = 'UPDATE devices SET created_at_ms = created_at_ms - $1'
    await sql.write([{ sql: older, args: [HOUR_MS] }])
  })
})
after(() => server.close())

/** New keys for both devices, and a message that brings the other one its own. */
function changeTo(number: string, sessionId: string, linked: Registered) {
  const { pair } = makeIdentityKeys()
  const [own, other] = [makeIdentityKeys(pair), makeIdentityKeys(pair)]
  const content = randomBytes(100)
  const body = {
    sessionId,
    number,
    reglock: null as string | null,
    pniIdentityKey: base64(pair.publicKey.serialize()),
    deviceMessages: [
      {
        ...{ type: 1, destinationDeviceId: linked.deviceId },
        destinationRegistrationId: linked.keys.aci.registrationId,
        content: base64(content),
      },
    ],
    devicePniSignedPrekeys: {
      1: signedJson(own.signedPreKey),
      [linked.deviceId]: signedJson(other.signedPreKey),
    },
    devicePniPqLastResortPrekeys: {
      1: signedJson(own.lastResortPreKey),
      [linked.deviceId]: signedJson(other.lastResortPreKey),
    },
    pniRegistrationIds: { 1: own.registrationId, [linked.deviceId]: other.registrationId },
  }
  return { body, content }
}

/** What a linked device receives of the change; it answers nothing that it cannot read. */
async function told(linked: SignalClient) {
  const { envelope } = await linked.unreadable.next()
  return envelope
}

for (const [index, httpVersion] of HTTP_VERSIONS.entries())
  describe(`changing the number over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    test('too soon after registration is 429 with the seconds to wait', async () => {
      const { linked } = casts[index]!
      const fresh = await register(server, { httpVersion })
      const number = newNumber()
      const { sessionId } = await verifiedSession(server, number, httpVersion)
      const { body } = changeTo(number, sessionId, linked)
      const headers = authorizationOf(fresh)
      const reply = await https.call('PUT', '/v2/accounts/number', { headers, json: body })
      assert.equal(reply.status, 429)
      assert.ok(Number(reply.headers['retry-after']) > 3500)
    })

    test('the account has the number, its holder is gone, and the other device is told', async () => {
      const { ada, linked, boris } = casts[index]!
      await using primary = new SignalClient(server, ada, httpVersion)
      await primary.connect()
      await using second = new SignalClient(server, linked, httpVersion)
      await second.connect()
      await using displaced = new SignalClient(server, boris, httpVersion)
      await displaced.connect()
      const { sessionId } = await verifiedSession(server, boris.number, httpVersion)
      const { body, content } = changeTo(boris.number, sessionId, linked)
      const put = (json: object, link = primary.link) =>
        fetchJson(link.auth, 'PUT', '/v2/accounts/number', json)

      assert.equal((await put(body, second.link)).status, 403)
      assert.equal(
        (await put({ ...body, pniIdentityKey: base64(ada.keys.pni.pair.publicKey.serialize()) })).status,
        422,
      )
      assert.equal((await put({ ...body, sessionId: 'bm9uZQ' })).status, 401)
      const stale = { ...body.deviceMessages[0]!, destinationRegistrationId: 1 }
      assert.deepEqual((await put({ ...body, deviceMessages: [stale] })).json, {
        staleDevices: [linked.deviceId],
      })
      const short = await put({ ...body, pniRegistrationIds: { 1: 1 } })
      assert.deepEqual(
        [short.status, short.json],
        [409, { missingDevices: [linked.deviceId], extraDevices: [] }],
      )

      const changed = await put(body)
      assert.equal(changed.status, 200)
      assert.deepEqual(
        [changed.json.uuid, changed.json.number, changed.json.pni],
        [ada.aci.getServiceIdString(), boris.number, boris.pni.getRawUuid()],
      )
      const envelope = await told(second)
      assert.deepEqual(Buffer.from(envelope.content), content)
      assert.deepEqual(Buffer.from(envelope.updatedPni), Buffer.from(boris.pni.getRawUuidBytes()))
      const cause = await displaced.link.interrupted()
      assert.ok(cause && LS.LibSignalErrorBase.is(cause, LS.ErrorCode.ConnectionInvalidated))
      assert.ok(primary.link.isOpen && second.link.isOpen)
      const whoami = await fetchJson(second.link.auth, 'GET', '/v1/accounts/whoami')
      assert.deepEqual([whoami.json.number, whoami.json.pni], [boris.number, boris.pni.getRawUuid()])
      const bundle = await https.call('GET', `/v2/keys/${boris.pni.getServiceIdString()}/*`, {
        headers: authorizationOf(linked),
      })
      assert.equal(bundle.json.identityKey, body.pniIdentityKey)
      assert.deepEqual(bundle.json.devices.length, 2)

      const again = await put({ ...body, sessionId: 'x' })
      assert.equal(again.status, 200, 'a client that lost the answer asks again')
    })
  })

test('the same over gRPC, with what is wrong as outcomes', async () => {
  const { ada, linked, boris } = casts.at(-1)!
  await using grpc = GrpcClient.open(server.ready)
  await using second = new SignalClient(server, linked, 2)
  await second.connect()
  const service = await verifiedSession(server, boris.number, 2)
  const { pair } = makeIdentityKeys()
  const keys = { 1: makeIdentityKeys(pair), [linked.deviceId]: makeIdentityKeys(pair) }
  const each = <T>(of: (own: ReturnType<typeof makeIdentityKeys>) => T) =>
    Object.fromEntries(Object.entries(keys).map(([id, own]) => [id, of(own)]))
  const signed = (key: LS.SignedPreKeyRecord | LS.KyberPreKeyRecord) => ({
    ...{ keyId: key.id(), publicKey: key.publicKey().serialize(), signature: key.signature() },
  })
  const payload = randomBytes(60)
  const message = {
    ...{ registrationId: linked.keys.aci.registrationId, payload, type: SendMessageType.DOUBLE_RATCHET },
  }
  const request = {
    sessionId: Buffer.from(service.sessionId, 'base64url'),
    number: boris.number,
    pniIdentityKey: pair.publicKey.serialize(),
    deviceMessages: { timestamp: 0, messages: { [linked.deviceId]: message } },
    devicePniSignedPreKeys: each((own) => signed(own.signedPreKey)),
    devicePniPqLastResortPreKeys: each((own) => signed(own.lastResortPreKey)),
    pniRegistrationIds: each((own) => own.registrationId),
  }
  const call = async (changes: object = {}, caller = ada) => {
    const { code, reply, fields, reason } = await grpc.call(
      Accounts.rpcs.changeNumber,
      { ...request, ...changes } as typeof request,
      authorizationOf(caller),
    )
    return { code, reply, fields, reason, response: reply?.response }
  }
  assert.equal((await call({}, linked)).reason, 'BAD_AUTHENTICATION')
  assert.equal((await call({ sessionId: Buffer.of(1) })).response, 'unverifiedRegistrationSession')
  assert.equal((await call({ number: newNumber() })).response, 'invalidRegistrationSession')
  const recoveryPassword = { sessionId: undefined, recoveryPassword: randomBytes(32) }
  assert.equal((await call(recoveryPassword)).response, 'recoveryPasswordVerificationFailed')
  const large = { ...message, payload: randomBytes(96 * 1024 + 1) }
  const deviceMessages = { timestamp: 0, messages: { [linked.deviceId]: large } }
  assert.equal((await call({ deviceMessages })).response, 'messageTooLarge')
  const stale = { timestamp: 0, messages: { [linked.deviceId]: { ...message, registrationId: 1 } } }
  assert.equal((await call({ deviceMessages: stale })).response, 'staleDevices')
  assert.equal((await call({ pniRegistrationIds: { 1: 1 } })).response, 'mismatchedDevices')
  assert.deepEqual((await call({ registrationLock: Buffer.of(1) })).fields, ['registration_lock'])

  await using https = Https.open(server.ready, 2)
  const lock = { headers: authorizationOf(boris), json: { registrationLock: 'ab'.repeat(32) } }
  assert.equal((await https.call('PUT', '/v1/accounts/registration_lock', lock)).status, 204)
  const locked = await call()
  assert.ok(locked.reply?.response === 'registrationLockFailure')
  assert.ok(locked.reply.registrationLockFailure.timeRemainingMillis > 0)
  assert.match(locked.reply.registrationLockFailure.svr2Credentials?.username ?? '', /^[0-9a-f]{32}$/)

  const changed = await call({ registrationLock: Buffer.alloc(32, 0xab) })
  assert.ok(changed.reply?.response === 'accountIdentifiers')
  assert.equal(changed.reply.accountIdentifiers.e164, boris.number)
  const envelope = await told(second)
  assert.deepEqual(Buffer.from(envelope.content), payload)
})
