// K1, K2 and L1 of pre-keys: one budget behind every door; a bad key is refused and nothing of its upload is kept.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect } from 'node:http2'
import { after, before, test } from 'node:test'
import { Keys as KeysService } from '../../wire/gen/keys.js'
import type { Rpc } from '../../wire/service.ts'
import { uuidToBytes } from '../../wire/types.ts'
import { authorizationOf, Https } from '../client/https.ts'
import {
  ecJson,
  makeIdentityKeys,
  makeKyberPreKey,
  makeOneTimeKeys,
  signedJson,
} from '../client/identity-keys.ts'
import { RawSocket } from '../client/raw-socket.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { exchange } from '../fuzz/doors.ts'
import { withField } from '../fuzz/fields.ts'

const [ACI, PNI] = [1, 2]

let server: Constellation
let https: Https
let session: ClientHttp2Session
let own: Registered
let other: Registered
before(async () => {
  server = await Constellation.open()
  https = Https.open(server.ready, 1)
  session = connect(server.ready.urls.chat, { ca: readFileSync(server.ready.tls.caPem) })
  session.on('error', () => {})
  ;[own, other] = await Promise.all([register(server), register(server)])
})
after(async () => {
  await https[Symbol.asyncDispose]()
  session.close()
  if (!session.destroyed) await once(session, 'close')
  await server.close()
})

async function callGrpc(rpc: Rpc, message: object): Promise<string | undefined> {
  const bytes = rpc.request.encode(message).finish()
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(bytes.length, 1)
  const fixed = { ':method': 'POST', ':path': rpc.path, 'content-type': 'application/grpc', te: 'trailers' }
  const reply = await exchange(session, { ...fixed, ...authorizationOf(own) }, Buffer.concat([prefix, bytes]))
  return reply.trailers['grpc-status'] ?? reply.headers['grpc-status']
}

test('K1, L1: six fetches of a device in ten minutes are shared by HTTPS, websocket and gRPC', async () => {
  const aci = other.aci.getServiceIdString()
  const path = `/v2/keys/${aci}/1`
  const targetIdentifier = { identityType: ACI, uuid: uuidToBytes(aci) }
  const headers = { ...authorizationOf(own), 'x-signal-disable-messages': 'true' }
  await using socket = await RawSocket.open(server.ready, 2, { headers })
  const kinds: (() => Promise<number | string | undefined>)[] = [
    async () => (await https.call('GET', path, { headers: authorizationOf(own) })).status,
    async () => (await socket.ask('GET', path)).status,
    () => callGrpc(KeysService.rpcs.getPreKeys, { targetIdentifier, deviceId: 1 }),
  ]
  const taken = []
  for (const ask of [...kinds, ...kinds]) taken.push(await ask())
  assert.deepEqual(taken, [200, 200, '0', 200, 200, '0'])
  const refused = []
  for (const ask of kinds) refused.push(await ask())
  assert.deepEqual(refused, [429, 429, '8'])
  const late = await https.call('GET', path, {
    headers: { ...authorizationOf(own), 'x-forwarded-for': '9.9.9.9' },
  })
  assert.equal(late.status, 429)
  assert.ok(Number(late.headers['retry-after']) > 0 && Number(late.headers['retry-after']) <= 600)
})

const counts = async () => {
  const of = (identity: string) =>
    https.call('GET', `/v2/keys?identity=${identity}`, { headers: authorizationOf(own) })
  return [(await of('aci')).json, (await of('pni')).json]
}

/** An upload that would be taken. */
const goodUpload = () => {
  const { pair } = own.keys.aci
  const { ec, kyber } = makeOneTimeKeys(pair, 3)
  const { signedPreKey, lastResortPreKey } = makeIdentityKeys(pair)
  return {
    preKeys: ec.map(ecJson),
    signedPreKey: signedJson(signedPreKey),
    pqPreKeys: kyber.map(signedJson),
    pqLastResortPreKey: signedJson(lastResortPreKey),
  }
}

const stranger = makeIdentityKeys()
const foreign = signedJson(makeKyberPreKey(stranger.pair, 5))
const zeros = (bytes: number) => Buffer.alloc(bytes).toString('base64')
const firstEc = (value: unknown) => (upload: object) => withField(upload, ['preKeys', 0], value)

const BAD: Readonly<Record<string, (upload: ReturnType<typeof goodUpload>) => unknown>> = {
  'an EC key of zeros': (upload) => withField(upload, ['preKeys', 2, 'publicKey'], zeros(33)),
  'an EC key without its type byte': (upload) =>
    withField(
      upload,
      ['preKeys', 0, 'publicKey'],
      Buffer.from(upload.preKeys[0]!.publicKey, 'base64').subarray(1).toString('base64'),
    ),
  'an EC key of another type': (upload) =>
    withField(
      upload,
      ['preKeys', 0, 'publicKey'],
      Buffer.concat([Buffer.of(6), Buffer.alloc(32, 1)]).toString('base64'),
    ),
  'a Kyber key where an EC key belongs': (upload) =>
    withField(upload, ['preKeys', 1, 'publicKey'], upload.pqPreKeys[0]!.publicKey),
  'a key id below 0': (upload) => withField(upload, ['preKeys', 0, 'keyId'], -1),
  'a key id of 2^31': (upload) => withField(upload, ['preKeys', 0, 'keyId'], 2 ** 31),
  'a key id that is no whole number': (upload) => withField(upload, ['pqPreKeys', 0, 'keyId'], 1.5),
  'a hundred and one keys': (upload) => ({
    ...upload,
    preKeys: makeOneTimeKeys(own.keys.aci.pair, 101).ec.map(ecJson),
  }),
  'a signature of zeros': (upload) => withField(upload, ['signedPreKey', 'signature'], zeros(64)),
  'a signature that is too short': (upload) => withField(upload, ['signedPreKey', 'signature'], zeros(63)),
  'a signature of another key': (upload) =>
    withField(upload, ['signedPreKey', 'signature'], upload.pqLastResortPreKey.signature),
  "another identity's signed key": (upload) => ({
    ...upload,
    signedPreKey: signedJson(stranger.signedPreKey),
  }),
  "another identity's Kyber key": (upload) => withField(upload, ['pqPreKeys', 2], foreign),
  "another identity's last-resort key": (upload) => ({
    ...upload,
    pqLastResortPreKey: signedJson(stranger.lastResortPreKey),
  }),
  'a Kyber key without its type byte': (upload) =>
    withField(upload, ['pqPreKeys', 0, 'publicKey'], zeros(1568)),
  'a Kyber key of zeros': (upload) => withField(upload, ['pqLastResortPreKey', 'publicKey'], zeros(1569)),
  'no key at all in a list': firstEc(null),
}

for (const [name, spoil] of Object.entries(BAD))
  test(`K2: ${name} is 422, and nothing of the upload is kept`, async () => {
    const before = await counts()
    const held = await https.call('POST', '/v2/keys/check', {
      headers: authorizationOf(own),
      json: digest(),
    })
    assert.equal(held.status, 200)
    const json = spoil(goodUpload())
    assert.equal((await https.call('PUT', '/v2/keys', { headers: authorizationOf(own), json })).status, 422)
    assert.deepEqual(await counts(), before)
    const after = await https.call('POST', '/v2/keys/check', {
      headers: authorizationOf(own),
      json: digest(),
    })
    assert.equal(after.status, 200)
  })

/** The digest of the repeated-use keys that the account was registered with. */
function digest() {
  const { pair, signedPreKey, lastResortPreKey } = own.keys.aci
  const hash = createHash('sha256').update(pair.publicKey.serialize())
  for (const key of [signedPreKey, lastResortPreKey]) {
    const id = Buffer.alloc(8)
    id.writeBigInt64BE(BigInt(key.id()))
    hash.update(id).update(key.publicKey().serialize())
  }
  return { identityType: 'ACI', digest: hash.digest('base64') }
}

test('K2: the same keys are refused by gRPC, and nothing of them is kept', async () => {
  const before = await counts()
  const { rpcs } = KeysService
  const wire = ({
    keyId,
    publicKey,
    signature,
  }: {
    keyId: number
    publicKey: string
    signature?: string
  }) => ({
    keyId,
    publicKey: Buffer.from(publicKey, 'base64'),
    ...(signature !== undefined && { signature: Buffer.from(signature, 'base64') }),
  })
  const good = goodUpload()
  const [ec, kem] = [good.preKeys.map(wire), good.pqPreKeys.map(wire)]
  const many = makeOneTimeKeys(own.keys.aci.pair, 101).ec.map(ecJson).map(wire)
  const calls: [Rpc, object][] = [
    [rpcs.setOneTimeEcPreKeys, { identityType: ACI, preKeys: many }],
    [rpcs.setOneTimeEcPreKeys, { identityType: ACI, preKeys: [] }],
    [
      rpcs.setOneTimeEcPreKeys,
      { identityType: ACI, preKeys: [...ec, { keyId: 9, publicKey: Buffer.alloc(33) }] },
    ],
    [rpcs.setOneTimeEcPreKeys, { identityType: ACI, preKeys: [{ ...ec[0]!, keyId: 2 ** 32 - 1 }] }],
    [rpcs.setOneTimeEcPreKeys, { identityType: 7, preKeys: ec }],
    [rpcs.setOneTimeKemSignedPreKeys, { identityType: ACI, preKeys: [...kem, wire(foreign)] }],
    [rpcs.setOneTimeKemSignedPreKeys, { identityType: PNI, preKeys: kem }],
    [rpcs.setEcSignedPreKey, { identityType: ACI }],
    [rpcs.setEcSignedPreKey, { identityType: ACI, signedPreKey: wire(signedJson(stranger.signedPreKey)) }],
    [rpcs.setEcSignedPreKey, { identityType: PNI, signedPreKey: wire(good.signedPreKey) }],
    [
      rpcs.setEcSignedPreKey,
      { identityType: ACI, signedPreKey: { ...wire(good.signedPreKey), keyId: 2 ** 31 } },
    ],
    [rpcs.setKemLastResortPreKey, { identityType: ACI, signedPreKey: wire(good.signedPreKey) }],
    [rpcs.setKemLastResortPreKey, { identityType: ACI, signedPreKey: wire(foreign) }],
  ]
  for (const [rpc, message] of calls)
    assert.equal(await callGrpc(rpc, message), '3', `${rpc.path} ${JSON.stringify(message).slice(0, 80)}`)
  assert.deepEqual(await counts(), before)
  const held = await https.call('POST', '/v2/keys/check', {
    headers: authorizationOf(own),
    json: digest(),
  })
  assert.equal(held.status, 200)
})
