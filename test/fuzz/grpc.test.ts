// Random and damaged protobuf for every RPC (cases A2, P1): a status of the contract, never UNKNOWN, never a crash.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type { Rpc, Service } from '../../wire/service.ts'
import { uuidToBytes } from '../../wire/types.ts'
import { authorizationOf } from '../client/https.ts'
import { type Registered, register } from '../client/register.ts'
import { RPCS } from '../services.ts'
import { exchange } from './doors.ts'
import { isFatal } from './fatal.ts'
import { Fuzzer } from './fuzzer.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 150)
const SEED = process.env['FUZZ_SEED']
/** OK, INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, ABORTED (a stream's no), UNIMPLEMENTED, UNAUTHENTICATED. */
const STATUSES = ['0', '3', '5', '8', '10', '12', '16']
/** INTERNAL says that the framing was broken, which only the client can do. */
const FRAMING = [...STATUSES, '13']

/** What ends the account that calls it. */
let fuzzer: Fuzzer
/** Calls what is fatal. */
let victim: Registered
before(async () => {
  fuzzer = await Fuzzer.open()
  victim = await register(fuzzer.server)
})
after(() => fuzzer.close())

const framed = (message: Uint8Array): Buffer => {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

async function call(service: Service, rpc: Rpc, body: Uint8Array): Promise<string | undefined> {
  const caller = isFatal(rpc) ? victim : fuzzer.cast.own
  const credentials = service.auth === 'device' ? authorizationOf(caller) : {}
  const headers = { ':method': 'POST', ':path': rpc.path, 'content-type': 'application/grpc', te: 'trailers' }
  const reply = await exchange(fuzzer.doors.session, { ...headers, ...credentials }, body)
  assert.equal(reply.status, 200)
  return reply.trailers['grpc-status'] ?? reply.headers['grpc-status']
}

/** A request that means something, whichever RPC it is for: codecs leave out what they do not know. */
function example(rpc: Rpc): Uint8Array {
  const { own, other, backup } = fuzzer.cast
  const mediaId = Buffer.alloc(15, 1)
  const layer = { hmacKey: Buffer.alloc(32), encryptionKey: Buffer.alloc(32) }
  const id = { identityType: 1, uuid: uuidToBytes(other.aci.getServiceIdString()) }
  const copy = { registrationId: other.keys.aci.registrationId, payload: Buffer.from('x'), type: 1 }
  const key = own.keys.aci.signedPreKey
  const signed = { keyId: 1, publicKey: key.publicKey().serialize(), signature: key.signature() }
  return rpc.request
    .encode({
      targetIdentifier: id,
      destination: id,
      identityType: 1,
      deviceId: 1,
      request: { targetIdentifier: id },
      preKeys: [signed],
      signedPreKey: signed,
      messages: { timestamp: 5, messages: { 1: copy } },
      signedPresentation: { presentation: backup.presentation, presentationSignature: backup.signature },
      items: [{ cdn: 3, sourceAttachmentCdn: 3, sourceKey: 'abc', objectLength: 5, mediaId, ...layer }],
      uploadLength: 5,
      media: {},
      authorization: 'unidentifiedAccessKey',
      unidentifiedAccessKey: other.accessKey,
    })
    .finish()
}

const varint = (value: bigint): number[] =>
  value < 0x80n ? [Number(value)] : [Number(value & 0x7fn) | 0x80, ...varint(value >> 7n)]
const field = (number: number, wireType: number) => varint(BigInt((number << 3) | wireType))

/** Messages within messages within messages, all in field 1. */
function nested(depth: number): Buffer {
  let inner = Buffer.alloc(0)
  for (let level = 0; level < depth; level++)
    inner = Buffer.concat([Buffer.from([...field(1, 2), ...varint(BigInt(inner.length))]), inner])
  return inner
}

const BOMBS: Readonly<Record<string, Buffer>> = {
  'ten thousand groups deep': Buffer.alloc(10_000, field(1, 3)[0]),
  'ten thousand groups in an unknown field': Buffer.alloc(20_000, Buffer.from(field(99, 3))),
  'messages three thousand deep': nested(3_000),
  'a length of 2^32': Buffer.from([...field(1, 2), ...varint(2n ** 32n), 1]),
  'a length of 2^63': Buffer.from([...field(1, 2), ...varint(2n ** 63n), 1]),
  'a varint of twelve bytes': Buffer.from([...field(1, 0), ...new Array(12).fill(0x80)]),
  'a hundred thousand varints in one field': Buffer.concat([
    Buffer.from([...field(2, 2), ...varint(100_000n)]),
    Buffer.alloc(100_000, 1),
  ]),
  '96 KiB of unknown fields': Buffer.alloc(96 * 1024, Buffer.from([...field(100, 0), 1])),
  'bytes that are no UTF-8': Buffer.from([...field(1, 2), 4, 0xc0, 0x80, 0xff, 0xfe]),
  'field number 0': Buffer.from([0, 0]),
  'wire types that do not exist': Buffer.from([0x0e, 0x0f, 0x16, 0x17]),
  nothing: Buffer.alloc(0),
}

for (const { service, rpc } of RPCS) {
  test(`${rpc.path} answers random and damaged messages with a status of its own`, async () => {
    const valid = example(rpc)
    const damaged = fc
      .array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const copy = Buffer.from(valid)
        for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length]! ^= value
        return copy
      })
    const cut = fc.nat(valid.length).map((length) => Buffer.from(valid.subarray(0, length)))
    const twice = fc.constant(Buffer.concat([valid, valid]))
    const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
    const message = fc.oneof(damaged, cut, twice, random)
    const answers = fc.asyncProperty(message, async (bytes) => {
      assert.ok(STATUSES.includes((await call(service, rpc, framed(bytes))) ?? 'none'))
    })
    await fc.assert(answers, { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) })
    await fuzzer.assertWell()
  })

  test(`${rpc.path} answers protobuf bombs with a status of its own`, async () => {
    for (const [name, bytes] of Object.entries(BOMBS)) {
      const status = await call(service, rpc, framed(bytes))
      assert.ok(STATUSES.includes(status ?? 'none'), `${name}: ${status}`)
    }
    await fuzzer.assertWell()
  })

  test(`${rpc.path} answers broken framing with a status of its own`, async () => {
    const valid = framed(example(rpc))
    const broken = [
      valid.subarray(0, 3),
      valid.subarray(0, -1),
      Buffer.concat([valid, valid]),
      Buffer.concat([valid, Buffer.of(0)]),
      Buffer.concat([Buffer.of(1), valid.subarray(1)]),
      Buffer.concat([Buffer.of(0, 255, 255, 255, 255), valid]),
      randomBytes(64),
    ]
    for (const bytes of broken) {
      const status = await call(service, rpc, bytes)
      assert.ok(FRAMING.includes(status ?? 'none'), `${bytes.toString('hex').slice(0, 40)}: ${status}`)
    }
    await fuzzer.assertWell()
  })
}

test('a bomb is refused in less time than a frame of the screen takes', () => {
  for (const { rpc } of RPCS)
    for (const [name, bytes] of Object.entries(BOMBS)) {
      const times = Array.from({ length: 5 }, () => decodingMs(rpc, bytes))
      assert.ok(Math.min(...times) < 16, `${rpc.path}, ${name}: ${Math.min(...times)} ms`)
    }
})

function decodingMs(rpc: Rpc, bytes: Buffer): number {
  const startedAt = performance.now()
  try {
    rpc.request.decode(bytes)
  } catch (error) {
    assert.ok(!(error instanceof RangeError && /call stack/.test(error.message)), 'the stack overflowed')
  }
  return performance.now() - startedAt
}
