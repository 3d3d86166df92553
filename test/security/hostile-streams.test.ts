// Hostile clients of gRPC streams (cases M8, P1): who does not read, does not acknowledge, or sends what is no message.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { KeysAnonymous } from '../../wire/gen/keys.js'
import { Messages } from '../../wire/gen/messages.js'
import type { AnyCodec } from '../../wire/service.ts'
import { detailsOf, GrpcClient } from '../client/grpc.ts'
import { framed } from '../client/grpc-stream.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { copyFor } from '../client/raw-message.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { within } from '../within.ts'
import { heldBytes } from './raw-bytes.ts'

const MIB = 2 ** 20
const IN_FLIGHT = 256
const LARGE = 90_000
const { getMessages } = Messages.rpcs

let server: Constellation
let https: Https
let grpc: GrpcClient
before(async () => {
  server = await Constellation.open({ config: { limits: { messages: { bucket: 1_000_000 } } } })
  https = Https.open(server.ready, 2)
  grpc = GrpcClient.open(server.ready)
})
after(async () => {
  await https[Symbol.asyncDispose]()
  await grpc[Symbol.asyncDispose]()
  await server.close()
})

const pair = () => Promise.all([register(server), register(server)])

function read(device: Registered, client = grpc) {
  const stream = client.stream(getMessages, authorizationOf(device))
  stream.send({ options: {} })
  return stream
}
type Reading = ReturnType<typeof read>

async function sendMany(from: Registered, to: Registered, count: number, bytes: number): Promise<void> {
  const path = `/v1/messages/${to.aci.getServiceIdString()}`
  const headers = authorizationOf(from)
  for (let sent = 0; sent < count; sent += 20) {
    const replies = await Promise.all(
      Array.from({ length: Math.min(20, count - sent) }, (_, index) =>
        https.call('PUT', path, {
          headers,
          json: { messages: [copyFor(to, bytes)], timestamp: 1 + sent + index },
        }),
      ),
    )
    assert.ok(replies.every(({ status }) => status === 200))
  }
}

const next = (stream: Reading) => within(stream.next(), 'a reply', 5_000)

async function assertOthersAreServed(): Promise<void> {
  const [eve, finn] = await pair()
  const stream = read(finn)
  assert.ok((await next(stream))?.queueEmpty)
  for (let count = 0; count < 20; count++) {
    await sendMany(eve, finn, 1, 100)
    const envelope = (await next(stream))?.envelope
    assert.ok(envelope)
    stream.send({ serverGuidAck: envelope.serverGuid })
  }
  stream.finish()
  await within(stream.ended, 'the end')
}

test('M8: a stream that acknowledges nothing gets 256 messages and no more; the rest waits on disk', async () => {
  const [ada, bob] = await pair()
  const stream = read(bob)
  assert.ok((await next(stream))?.queueEmpty)
  await sendMany(ada, bob, 300, 100)
  const held = [await next(stream)]
  while (held.length < IN_FLIGHT) held.push(await next(stream))
  await assertOthersAreServed()
  const first = held[0]!.envelope!
  stream.send({ serverGuidAck: first.serverGuid })
  const more = await next(stream)
  assert.equal(more?.envelope?.clientTimestamp, IN_FLIGHT + 1)
  stream.finish()
  assert.deepEqual(await stream.all(), [])
})

test('M8: a stream that reads nothing is sent no more than the buffers hold, and its device gets every message later', async () => {
  const [ada, bob] = await pair()
  // On a connection of its own: what is not read of one stream uses up the window of all.
  const other = GrpcClient.open(server.ready)
  const deaf = read(bob, other)
  await sendMany(ada, bob, 1, 100)
  const before = await heldBytes()
  const count = 400
  await sendMany(ada, bob, count, LARGE)
  await assertOthersAreServed()
  const grown = (await heldBytes()) - before
  assert.ok(grown < 16 * MIB, `${Math.round(grown / MIB)} MiB more, of ${Math.round((count * LARGE) / MIB)}`)
  deaf.cancel()
  await other[Symbol.asyncDispose]()
  const stream = read(bob)
  const timestamps: number[] = []
  while (timestamps.length < count + 1) {
    const reply = await next(stream)
    assert.ok(reply, 'the stream ended')
    const { envelope } = reply
    if (!envelope) continue
    timestamps.push(envelope.clientTimestamp)
    stream.send({ serverGuidAck: envelope.serverGuid })
  }
  assert.deepEqual(timestamps, [1, ...Array.from({ length: count }, (_, index) => index + 1)])
  stream.finish()
  await within(stream.all(), 'the end')
})

test('P1: a stream of what is no message, or too long, ends with a status and costs nothing', async () => {
  const device = await register(server)
  const prefix = (length: number) => {
    const bytes = framed(Buffer.alloc(0))
    bytes.writeUInt32BE(length, 1)
    return bytes
  }
  const groups = Buffer.alloc(1_000, 0x0b)
  const cases: [Uint8Array, number[]][] = [
    [prefix(2 ** 32 - 1), [8]],
    [prefix(1025), [8]],
    [framed(groups), [3]],
    [framed(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])), [3]],
    [framed(Buffer.from([0x12, 0x80])), [3]],
    [framed(Buffer.alloc(10), 1), [12]],
  ]
  const before = await heldBytes()
  for (const [bytes, codes] of cases) {
    for (const [rpc, headers] of [
      [getMessages, authorizationOf(device)],
      [KeysAnonymous.rpcs.checkIdentityKeys, {}],
    ] as const) {
      const stream = grpc.stream<AnyCodec, AnyCodec>(rpc, headers)
      stream.stream.write(bytes)
      const trailers = await within(stream.ended, 'the end')
      assert.ok(codes.includes(Number(trailers['grpc-status'])), `${rpc.path}: ${trailers['grpc-status']}`)
      assert.notEqual(detailsOf(trailers).reason, 'UNAVAILABLE')
    }
  }
  assert.ok((await heldBytes()) - before < 8 * MIB)
})

test('P1: random bytes on a stream never meet a bug of ours', async () => {
  const device = await register(server)
  for (let round = 0; round < 150; round++) {
    const stream = grpc.stream(getMessages, authorizationOf(device))
    if (round % 2 === 0) stream.send({ options: {} })
    const noise = randomBytes(round * 4)
    stream.stream.end(round % 3 === 0 ? noise : framed(noise))
    const status = Number((await within(stream.ended, 'the end'))['grpc-status'])
    assert.ok([0, 3, 8, 12, 13].includes(status), `status ${status}`)
  }
})
