// The gRPC services of keys and messages (signal-api §1.4), by libsignal's typed calls and by hand.
import assert from 'node:assert/strict'
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { IdentityType } from '../../wire/gen/common.js'
import { Keys, KeysAnonymous } from '../../wire/gen/keys.js'
import { Messages, MessagesAnonymous, SendMessageType } from '../../wire/gen/messages.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, basic } from '../client/https.ts'
import { makeIdentityKeys, makeOneTimeKeys } from '../client/identity-keys.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const [OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAUTHENTICATED] = [0, 3, 8, 12, 16]
const MAX_CONTENT_BYTES = 96 * 1024
let server: Constellation
let grpc: GrpcClient
let ada: SignalClient
before(async () => {
  server = await Constellation.open()
  grpc = GrpcClient.open(server.ready)
  ada = await SignalClient.create(server, { httpVersion: 2 })
})
after(async () => {
  await ada.disconnect()
  await grpc[Symbol.asyncDispose]()
  await server.close()
})

const identifier = (id: LS.ServiceId) => ({
  identityType: id instanceof LS.Pni ? IdentityType.IDENTITY_TYPE_PNI : IdentityType.IDENTITY_TYPE_ACI,
  uuid: id.getRawUuidBytes(),
})
const nobody = LS.Aci.fromUuid(randomUUID())
const copies = (to: Registered, change: object = {}) => ({
  timestamp: Date.now(),
  messages: {
    1: {
      registrationId: to.keys.aci.registrationId,
      payload: Buffer.from('opaque'),
      type: SendMessageType.DOUBLE_RATCHET,
      ...change,
    },
  },
})
const sealed = { type: SendMessageType.UNIDENTIFIED_SENDER }

test("libsignal's key service replaces keys and counts them, for both identities", async () => {
  await using client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  const { auth } = client.link
  await client.uploadPreKeys(4, 'grpc')
  assert.deepEqual(await auth.getPreKeyCount(), {
    aciEcPreKeyCount: 4,
    aciKemPreKeyCount: 4,
    pniEcPreKeyCount: 4,
    pniKemPreKeyCount: 4,
  })
  const { ec } = makeOneTimeKeys(client.account.keys.aci.pair, 2)
  await auth.setOneTimeEcPreKeys({
    identity: LS.ServiceIdKind.Aci,
    preKeys: ec.map((key) => ({ keyId: key.id(), publicKey: key.publicKey() })),
  })
  assert.equal((await auth.getPreKeyCount()).aciEcPreKeyCount, 2)
})

test('keys that were published by gRPC open a session', async () => {
  await using bob = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  await bob.uploadPreKeys(1, 'grpc')
  await ada.sendText(bob, 'by gRPC')
  assert.equal((await bob.messages.next()).text, 'by gRPC')
  assert.equal((await bob.link.auth.getPreKeyCount()).aciEcPreKeyCount, 0)
})

test('a key that another identity signed is refused, and nothing is stored', async () => {
  const { auth } = ada.link
  const before = await auth.getPreKeyCount()
  const [good] = makeOneTimeKeys(ada.account.keys.aci.pair, 1).kyber
  const foreign = makeIdentityKeys().lastResortPreKey
  const preKeys = [good!, foreign].map((key) => ({
    keyId: key.id(),
    publicKey: key.publicKey(),
    signature: key.signature(),
  }))
  await assert.rejects(auth.setOneTimeKemPreKeys({ identity: LS.ServiceIdKind.Aci, preKeys }), {
    code: LS.ErrorCode.IoError,
  })
  assert.deepEqual(await auth.getPreKeyCount(), before)
})

test('bundles by gRPC carry the same keys, and the fingerprint of the access key', async () => {
  const target = await register(server)
  const { rpcs } = Keys
  const headers = authorizationOf(ada.account)
  const { reply } = await grpc.call(rpcs.getPreKeys, { targetIdentifier: identifier(target.aci) }, headers)
  assert.equal(reply?.response, 'preKeys')
  const bundles = reply.preKeys!
  const { identityKey, devicePreKeys } = bundles
  assert.deepEqual(Buffer.from(identityKey), Buffer.from(target.keys.aci.pair.publicKey.serialize()))
  const fingerprint = createHmac('sha256', target.accessKey).update(Buffer.alloc(32)).digest()
  assert.equal(bundles.unrestrictedUnidentifiedAccess, false)
  assert.deepEqual(Buffer.from(bundles.unidentifiedAccessKeyFingerprint), fingerprint)
  const device = devicePreKeys['1']!
  assert.equal(device.registrationId, target.keys.aci.registrationId)
  assert.equal(device.ecOneTimePreKey, null)
  assert.equal(device.kemOneTimePreKey?.keyId, target.keys.aci.lastResortPreKey.id())
  const missing = await grpc.call(rpcs.getPreKeys, { targetIdentifier: identifier(nobody) }, headers)
  assert.equal(missing.reply?.response, 'targetNotFound')
})

test('strangers get bundles by gRPC for the right key, and a refusal in an OK reply for a wrong one', async () => {
  const target = await register(server)
  const take = (
    id: LS.ServiceId,
    proof: { unidentifiedAccessKey: Uint8Array } | { unrestrictedAccess: object },
  ) =>
    grpc.call(KeysAnonymous.rpcs.getPreKeys, {
      request: { targetIdentifier: identifier(id), deviceId: 1 },
      ...(proof as { unidentifiedAccessKey: Uint8Array }),
    })
  const right = { unidentifiedAccessKey: target.accessKey }
  assert.equal((await take(target.aci, right)).reply?.response, 'preKeys')
  const refused = [
    await take(target.aci, { unidentifiedAccessKey: randomBytes(16) }),
    await take(target.aci, { unrestrictedAccess: {} }),
    await take(target.pni, right),
    await take(nobody, right),
  ]
  for (const { code, reply } of refused)
    assert.deepEqual([code, reply?.response], [OK, 'failedUnidentifiedAuthorization'])
})

test('the seventh fetch of keys within ten minutes is exhausted, and says for how long', async () => {
  const [asker, target] = [await register(server), await register(server)]
  const take = () =>
    grpc.call(
      Keys.rpcs.getPreKeys,
      { targetIdentifier: identifier(target.aci), deviceId: 1 },
      authorizationOf(asker),
    )
  for (let fetch = 0; fetch < 6; fetch++) assert.equal((await take()).code, OK)
  const { code, reason, retryAfterSeconds } = await take()
  assert.deepEqual([code, reason], [RESOURCE_EXHAUSTED, 'RESOURCE_EXHAUSTED'])
  assert.ok(retryAfterSeconds! > 590 && retryAfterSeconds! <= 600)
})

test('libsignal sends by gRPC on HTTP/2: every kind of mismatch comes in one reply', async () => {
  const target = await register(server)
  await using friend = await SignalClient.create(server, { httpVersion: 2 })
  const [copy] = await ada.encryptFor(friend, 'opaque')
  const { contents } = copy!
  const stale = (target.keys.aci.registrationId % 16_000) + 1
  const sent = ada.link.auth.sendMessage({
    destination: target.aci,
    timestamp: ada.nextTimestamp(),
    contents: [
      { deviceId: 1, registrationId: stale, contents },
      { deviceId: 5, registrationId: 7, contents },
    ],
    onlineOnly: false,
    urgent: true,
  })
  await assert.rejects(sent, (error) => {
    assert.ok(LS.LibSignalErrorBase.is(error, LS.ErrorCode.MismatchedDevices))
    const { account, missingDevices, extraDevices, staleDevices } = error.entries[0]!
    assert.ok(account.isEqual(target.aci))
    assert.deepEqual([missingDevices, extraDevices, staleDevices], [[], [5], [1]])
    return true
  })
})

test('a message by gRPC is the same as one by REST', async () => {
  await using bob = await SignalClient.create(server, { httpVersion: 2 })
  const timestamp = Date.now()
  const { code, reply } = await grpc.call(
    Messages.rpcs.sendMessage,
    { destination: identifier(bob.aci), urgent: false, messages: { ...copies(bob.account), timestamp } },
    authorizationOf(ada.account),
  )
  assert.deepEqual([code, reply?.response], [OK, 'success'])
  const { envelope } = await bob.unreadable.next()
  assert.deepEqual(
    [envelope.type, envelope.clientTimestamp, envelope.urgent, envelope.sourceServiceIdText],
    [1, timestamp, false, ada.aci.getServiceIdString()],
  )
})

test('sending by gRPC tells an unknown account, an own identity, and a type that is not for the call', async () => {
  const headers = authorizationOf(ada.account)
  const send = (to: LS.ServiceId, messages: object) =>
    grpc.call(Messages.rpcs.sendMessage, { destination: identifier(to), messages }, headers)
  const target = await register(server)
  assert.equal((await send(nobody, copies(target))).reply?.response, 'destinationNotFound')
  for (const own of [ada.aci, ada.pni])
    assert.equal((await send(own, copies(ada.account))).code, INVALID_ARGUMENT)
  const spoilt = [
    copies(target, sealed),
    copies(target, { type: 0 }),
    copies(target, { payload: Buffer.alloc(0) }),
    copies(target, { registrationId: 0 }),
    { ...copies(target), messages: {} },
    { messages: { 128: copies(target).messages[1] } },
  ]
  for (const messages of spoilt) {
    const { code, reason, domain, fields } = await send(target.aci, messages)
    assert.deepEqual(
      [code, reason, domain],
      [INVALID_ARGUMENT, 'CONSTRAINT_VIOLATED', 'grpc.chat.signal.org'],
    )
    assert.equal(fields.length, 1)
  }
})

test('content by gRPC may have 96 KiB and not a byte more', async () => {
  const target = await register(server)
  const send = (bytes: number) =>
    grpc.call(
      Messages.rpcs.sendMessage,
      {
        destination: identifier(target.aci),
        messages: copies(target, { payload: Buffer.alloc(bytes, 1) }),
      },
      authorizationOf(ada.account),
    )
  assert.equal((await send(MAX_CONTENT_BYTES)).reply?.response, 'success')
  const { code, reason } = await send(MAX_CONTENT_BYTES + 1)
  assert.deepEqual([code, reason], [INVALID_ARGUMENT, 'CONSTRAINT_VIOLATED'])
})

test('sealed messages and stories by gRPC keep the rules of strangers', async () => {
  const target = await register(server)
  const { rpcs } = MessagesAnonymous
  const send = (
    to: LS.ServiceId,
    proof: { unidentifiedAccessKey: Uint8Array } | { groupSendToken: Uint8Array },
  ) =>
    grpc.call(rpcs.sendSingleRecipientMessage, {
      destination: identifier(to),
      messages: copies(target, sealed),
      ...(proof as { unidentifiedAccessKey: Uint8Array }),
    })
  const right = { unidentifiedAccessKey: target.accessKey }
  assert.equal((await send(target.aci, right)).reply?.response, 'success')
  for (const refused of [
    await send(target.aci, { unidentifiedAccessKey: randomBytes(16) }),
    await send(target.aci, { groupSendToken: randomBytes(8) }),
    await send(nobody, right),
  ])
    assert.equal(refused.reply?.response, 'failedUnidentifiedAuthorization')
  const unproven = await grpc.call(rpcs.sendSingleRecipientMessage, {
    destination: identifier(target.aci),
    messages: copies(target, sealed),
  })
  assert.deepEqual([unproven.code, unproven.reason], [INVALID_ARGUMENT, 'CONSTRAINT_VIOLATED'])
  for (const to of [target.aci, nobody]) {
    const story = { destination: identifier(to), messages: copies(target, sealed) }
    assert.equal((await grpc.call(rpcs.sendStory, story)).reply?.response, 'success')
  }
})

test('a service for devices refuses whoever is none', async () => {
  const id = ada.aci.getServiceIdString()
  const wrong = [
    {},
    { authorization: basic(`${id}.1`, 'wrong') },
    { authorization: basic(`${id}.2`, ada.account.password) },
    { authorization: basic(`${randomUUID()}.1`, ada.account.password) },
    { authorization: 'Bearer token' },
  ]
  for (const headers of wrong) {
    const { code, reason, domain } = await grpc.call(Keys.rpcs.getPreKeyCount, {}, headers)
    assert.deepEqual([code, reason, domain], [UNAUTHENTICATED, 'INVALID_CREDENTIALS', 'grpc.chat.signal.org'])
  }
})

test('a service for strangers refuses whoever says who it is', async () => {
  const { rpcs } = MessagesAnonymous
  const target = await register(server)
  const message = {
    destination: identifier(target.aci),
    messages: copies(target, sealed),
    unidentifiedAccessKey: target.accessKey,
  }
  for (const headers of [authorizationOf(ada.account), { authorization: 'garbage' }]) {
    const { code, reason } = await grpc.call(rpcs.sendSingleRecipientMessage, message, headers)
    assert.deepEqual([code, reason], [INVALID_ARGUMENT, 'BAD_AUTHENTICATION'])
  }
})

test('a call that does not exist is unimplemented, and every answer tells the time', async () => {
  const path = '/org.signal.chat.keys.Keys/Nonsense'
  const unknown = await grpc.call({ ...Keys.rpcs.getPreKeyCount, path }, {}, authorizationOf(ada.account))
  assert.equal(unknown.code, UNIMPLEMENTED)
  const known = await grpc.call(Keys.rpcs.getPreKeyCount, {}, authorizationOf(ada.account))
  for (const { headers } of [unknown, known]) {
    assert.match(headers['x-signal-timestamp'] ?? '', /^\d{13}$/)
    assert.equal(headers['content-type'], 'application/grpc')
  }
})

test('libsignal learns by gRPC that its credentials no longer hold', async () => {
  const number = '+12025559001'
  const client = await SignalClient.create(server, { number, httpVersion: 2 })
  const { link } = client
  await register(server, { number })
  assert.equal((await link.interrupted())?.code, LS.ErrorCode.ConnectionInvalidated)
  const old = await grpc.call(Keys.rpcs.getPreKeyCount, {}, authorizationOf(client.account))
  assert.equal(old.reason, 'INVALID_CREDENTIALS')
  await client.disconnect()
})
