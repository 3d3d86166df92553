// KeysAnonymous.CheckIdentityKeys (signal-api §2.28): a stream of fingerprints in, the keys that differ out.
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { IdentityType } from '../../wire/gen/common.js'
import { KeysAnonymous } from '../../wire/gen/keys.js'
import { detailsOf, GrpcClient } from '../client/grpc.ts'
import { authorizationOf } from '../client/https.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { within } from '../within.ts'

const { checkIdentityKeys } = KeysAnonymous.rpcs
let server: Constellation
let grpc: GrpcClient
let ada: Registered
before(async () => {
  server = await Constellation.open({
    config: { limits: { batchIdentityCheck: { bucket: 12, refill: 3600 } } },
  })
  grpc = GrpcClient.open(server.ready)
  ada = await register(server)
})
after(async () => {
  await grpc[Symbol.asyncDispose]()
  await server.close()
})

const open = (headers: Readonly<Record<string, string>> = {}) => grpc.stream(checkIdentityKeys, headers)
type Checking = ReturnType<typeof open>

const identifier = (id: LS.ServiceId) => ({
  identityType: id instanceof LS.Pni ? IdentityType.IDENTITY_TYPE_PNI : IdentityType.IDENTITY_TYPE_ACI,
  uuid: id.getRawUuidBytes(),
})
const keyOf = (identity: 'aci' | 'pni') => Buffer.from(ada.keys[identity].pair.publicKey.serialize())
const fingerprintOf = (key: Uint8Array) => createHash('sha256').update(key).digest().subarray(0, 4)
const nobody = () => LS.Aci.fromUuid(randomUUID())

const ask = (stream: Checking, id: LS.ServiceId, fingerprint: Uint8Array) =>
  stream.send({ targetIdentifier: identifier(id), fingerprint })

async function verdict(stream: Checking) {
  const trailers = await within(stream.ended, 'the end of the stream')
  const { reason, fields } = detailsOf(trailers)
  return [Number(trailers['grpc-status']), reason, ...fields]
}

test('only identities whose fingerprint differs come back, as soon as they were asked for', async () => {
  const stream = open()
  ask(stream, ada.aci, fingerprintOf(keyOf('aci')))
  ask(stream, ada.pni, fingerprintOf(keyOf('pni')))
  ask(stream, nobody(), Buffer.alloc(4))
  for (const [id, known, right] of [
    [ada.aci, Buffer.alloc(4), keyOf('aci')],
    [ada.pni, fingerprintOf(keyOf('aci')), keyOf('pni')],
    [ada.aci, fingerprintOf(keyOf('pni')), keyOf('aci')],
  ] as const) {
    ask(stream, id, known)
    const reply = await within(stream.next(), 'a mismatch')
    assert.deepEqual(
      [reply?.targetIdentifier?.identityType, Buffer.from(reply!.targetIdentifier!.uuid)],
      [identifier(id).identityType, Buffer.from(identifier(id).uuid)],
    )
    assert.deepEqual(Buffer.from(reply!.identityKey), right)
  }
  stream.finish()
  assert.deepEqual(await stream.all(), [])
  assert.deepEqual(await verdict(stream), [0, undefined])
})

test('a question that breaks the contract ends the stream', async () => {
  const good = { targetIdentifier: identifier(ada.aci), fingerprint: Buffer.alloc(4) }
  const cases = [
    [{ ...good, fingerprint: Buffer.alloc(3) }, 'fingerprint'],
    [{ ...good, fingerprint: Buffer.alloc(5) }, 'fingerprint'],
    [{ ...good, targetIdentifier: undefined }, 'target_identifier'],
    [{ ...good, targetIdentifier: { identityType: 0, uuid: Buffer.alloc(16) } }, 'target_identifier'],
    [{ ...good, targetIdentifier: { identityType: 1, uuid: Buffer.alloc(15) } }, 'target_identifier'],
  ] as const
  for (const [question, field] of cases) {
    const stream = open()
    stream.send(question)
    assert.deepEqual(await verdict(stream), [3, 'CONSTRAINT_VIOLATED', field])
  }
})

test('a caller with credentials is refused', async () => {
  assert.deepEqual(await verdict(open(authorizationOf(ada))), [3, 'BAD_AUTHENTICATION'])
})

test('a thousand questions cost one permit, and who has none left is told when to come again', async () => {
  const address = open()
  for (let count = 0; count < 20_000; count++) ask(address, nobody(), Buffer.alloc(4))
  address.finish()
  const trailers = await within(address.ended, 'the end of the stream')
  const { reason, retryAfterSeconds } = detailsOf(trailers)
  assert.deepEqual([Number(trailers['grpc-status']), reason], [8, 'RESOURCE_EXHAUSTED'])
  assert.ok(retryAfterSeconds! > 3_000)
})
