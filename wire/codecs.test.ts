import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as common from './gen/common.js'
import * as envelope from './gen/envelope.js'
import * as errors from './gen/errors.js'
import * as google from './gen/google.js'
import * as keys from './gen/keys.js'
import * as messages from './gen/messages.js'
import * as rpc from './gen/rpc.js'
import * as websocket from './gen/websocket.js'
import type { AnyCodec } from './service.ts'
import { MAX_TIMESTAMP_MS } from './types.ts'

const { UploadForm, ZkCredential } = common
const { Envelope } = envelope
const { FailedPrecondition } = errors
const { ChallengeRequired, IndividualRecipientMessageBundle, MismatchedDevices, SendSyncMessageRequest } =
  messages

const CODECS: AnyCodec[] = [common, envelope, errors, google, keys, messages, rpc, websocket]
  .flatMap((module) => Object.values(module) as object[])
  .filter((value) => 'decode' in value) as AnyCodec[]

const MAX_BYTES = 640 * 1024
const LEN = 2
const START_GROUP = 3
const END_GROUP = 4

const tag = (field: number, wireType: number) => (field << 3) | wireType
const repeat = (bytes: number[], times: number) => Buffer.alloc(bytes.length * times, Buffer.from(bytes))

function varint(value: number): number[] {
  const bytes = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest % 128) | 128)
  }
}
const field = (number: number, content: Uint8Array) =>
  Buffer.concat([Buffer.from([...varint(tag(number, LEN)), ...varint(content.length)]), content])

function nested(depth: number): Buffer {
  let message = Buffer.alloc(0)
  for (let level = 0; level < depth; level++) message = field(1, message)
  return message
}

const outcome = (codec: AnyCodec, bytes: Uint8Array) => {
  try {
    return codec.decode(bytes)
  } catch (error) {
    assert.ok(error instanceof Error)
    assert.ok(!/call stack/.test(error.message), 'the stack overflowed')
    return undefined
  }
}

/** Of this thread's processor, and the best of some runs: a busy host proves nothing against the codec. */
function decodingMs(codec: AnyCodec, bytes: Uint8Array): number {
  const runs = Array.from({ length: 8 }, () => {
    const before = process.threadCpuUsage()
    outcome(codec, bytes)
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / 1000
  })
  return Math.min(...runs)
}

const HOSTILE: Record<string, Buffer> = {
  '10,000 nested groups': repeat([tag(15, START_GROUP)], 10_000),
  '10,000 nested groups, closed': Buffer.concat([
    repeat([tag(15, START_GROUP)], 10_000),
    repeat([tag(15, END_GROUP)], 10_000),
  ]),
  '10,000 nested messages': nested(10_000),
  'a length of 2^32 - 1': Buffer.from([tag(1, LEN), ...varint(2 ** 32 - 1)]),
  'a length of 2^32': Buffer.from([tag(1, LEN), ...varint(2 ** 32), 0]),
  'a length of 2^31 in a field unknown': Buffer.from([tag(15, LEN), ...varint(2 ** 31)]),
  'an endless varint': repeat([0xff], 96 * 1024),
  'packed 10^8 varints, announced': Buffer.from([tag(2, LEN), ...varint(10 ** 8), 1, 1, 1]),
  '96 KiB of unknown varints': repeat([tag(15, 0), 1], 48 * 1024),
  '96 KiB of unknown empty fields': repeat([tag(15, LEN), 0], 48 * 1024),
  'field number 0': Buffer.from([0, 0]),
  'an end of a group that never began': Buffer.from([tag(1, END_GROUP)]),
}

test('timestamps and other 64-bit integers are exact JavaScript numbers', () => {
  for (const timestamp of [
    0,
    1,
    2 ** 31,
    2 ** 32,
    1_755_600_000_123,
    MAX_TIMESTAMP_MS,
    Number.MAX_SAFE_INTEGER,
  ]) {
    const request = SendSyncMessageRequest.encode({ messages: { timestamp } }).finish()
    assert.equal(SendSyncMessageRequest.decode(request).messages?.timestamp, timestamp)
    const received = Envelope.decode(
      Envelope.encode({ clientTimestamp: timestamp, serverTimestamp: timestamp }).finish(),
    )
    assert.deepEqual([received.clientTimestamp, received.serverTimestamp], [timestamp, timestamp])
  }
  const past = ZkCredential.encode({ redemptionTime: -86_400 }).finish()
  assert.equal(ZkCredential.decode(past).redemptionTime, -86_400)
  assert.equal(Envelope.decode(new Uint8Array(0)).clientTimestamp, 0)
  assert.equal(Envelope.decode(Buffer.from([tag(5, 0), ...repeat([0xff], 9), 1])).clientTimestamp, 2 ** 64)
})

test('what is absent decodes as the type says', () => {
  const challenge = ChallengeRequired.decode(new Uint8Array(0))
  assert.deepEqual([challenge.token, challenge.challengeOptions, challenge.retryAfterSeconds], ['', [], null])
  const request = SendSyncMessageRequest.decode(new Uint8Array(0))
  assert.deepEqual([request.urgent, request.messages], [false, null])
  assert.equal(Envelope.decode(new Uint8Array(0)).urgent, true)
  assert.equal(Envelope.decode(new Uint8Array(0)).content.length, 0)
})

test('a oneof names what it holds, and the last one on the wire counts', () => {
  const { GetPreKeysAnonymousRequest } = keys
  const token = GetPreKeysAnonymousRequest.encode({ groupSendToken: Buffer.of(7) }).finish()
  const key = GetPreKeysAnonymousRequest.encode({ unidentifiedAccessKey: Buffer.of(8) }).finish()
  const both = GetPreKeysAnonymousRequest.decode(Buffer.concat([token, key]))
  assert.equal(both.authorization, 'unidentifiedAccessKey')
  assert.equal(both.groupSendToken, null)
  assert.equal(GetPreKeysAnonymousRequest.decode(new Uint8Array(0)).authorization, undefined)
})

test('unknown fields are skipped and forgotten', () => {
  const known = FailedPrecondition.encode({ description: 'why' }).finish()
  const decoded = FailedPrecondition.decode(Buffer.concat([field(200, Buffer.alloc(99)), known]))
  assert.deepEqual({ ...decoded }, { description: 'why' })
})

for (const [name, bytes] of Object.entries(HOSTILE)) {
  test(`every codec survives ${name}, within 5 ms`, () => {
    for (const codec of CODECS) assert.ok(decodingMs(codec, bytes) < 5)
  })
}

test('nested groups and impossible lengths are refused', () => {
  for (const name of [
    '10,000 nested groups, closed',
    'a length of 2^32 - 1',
    'an endless varint',
    'field number 0',
  ])
    assert.throws(() => MismatchedDevices.decode(HOSTILE[name]!), name)
})

test('the longest request of the smallest parts decodes in no more than a moment', () => {
  const packed = field(2, repeat([1], MAX_BYTES))
  const devices = repeat([tag(2, LEN), 2, tag(1, 0), 1], MAX_BYTES / 4)
  const preKeys = repeat([tag(2, LEN), 0], (192 * 1024) / 2)
  assert.ok(decodingMs(MismatchedDevices, packed) < 25)
  assert.ok(decodingMs(IndividualRecipientMessageBundle, devices) < 100)
  assert.ok(decodingMs(keys.SetOneTimeKemSignedPreKeysRequest, preKeys) < 50)
})

test('a string that is not UTF-8 is refused', () => {
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f]])
    assert.throws(() => FailedPrecondition.decode(field(1, Buffer.from(bytes))))
})

test('names of the object prototype are only names', () => {
  for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'toString']) {
    const entry = field(3, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from('polluted'))]))
    const { headers } = UploadForm.decode(entry)
    assert.deepEqual(Object.entries(headers), [[name, 'polluted']])
    assert.equal(Object.getPrototypeOf(headers), Object.prototype)
  }
  assert.deepEqual(Object.keys(Object.prototype), [])
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('whatever bytes come, a codec gives a message or an error', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 32 }),
    fc
      .tuple(fc.nat(24), fc.uint8Array({ maxLength: 24 }))
      .map(([number, content]) => field(number + 1, content)),
  )
  const bytes = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces))
  fc.assert(
    fc.property(fc.constantFrom(...CODECS), bytes, (codec, input) => {
      outcome(codec, input)
    }),
    { numRuns: 5_000 },
  )
})
