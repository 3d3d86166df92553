// W3: HTTP/2 used as a weapon ends that connection; memory stays bounded and everybody else is served.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, test } from 'node:test'
import { exchange } from '../fuzz/doors.ts'
import { type BareDoors, openBareDoors } from './bare-doors.ts'
import { FRAME, GET_ROOT, HTTP2_START, heldBytes, http2Frame, RawClient } from './raw-bytes.ts'

const MIB = 2 ** 20
const END_STREAM_AND_HEADERS = 0x05
const NOTHING = Buffer.alloc(0)

let bare: BareDoors
before(async () => {
  bare = await openBareDoors({})
})
after(() => bare[Symbol.asyncDispose]())

function* rapidResets(count: number): Generator<Buffer> {
  const cancel = Buffer.of(0, 0, 0, 8)
  for (let stream = 1; stream < 2 * count; stream += 2)
    yield Buffer.concat([
      http2Frame(FRAME.headers, END_STREAM_AND_HEADERS, stream, GET_ROOT),
      http2Frame(FRAME.reset, 0, stream, cancel),
    ])
}

function* repeated(count: number, piece: Buffer): Generator<Buffer> {
  for (let index = 0; index < count; index++) yield piece
}

function* continuations(count: number, bytes: number): Generator<Buffer> {
  yield http2Frame(FRAME.headers, 0x01, 1, GET_ROOT)
  // HPACK: literal without indexing, a name of one byte and a value of none.
  const field = Buffer.of(0x00, 1, 0x61, 0)
  const block = Buffer.alloc(Math.max(4, bytes), field)
  for (let index = 0; index < count; index++) yield http2Frame(FRAME.continuation, 0, 1, block)
}

const manySettings = Buffer.concat(
  Array.from({ length: 2000 }, (_, index) => Buffer.of(0, 4, 0, 0, index >> 8, index & 255)),
)

const FLOODS: readonly (readonly [name: string, () => Iterable<Buffer>])[] = [
  ['streams that are reset as soon as they are opened', () => rapidResets(50_000)],
  ['headers that never end, in large pieces', () => continuations(2_000, 16_000)],
  ['headers that never end, in tiny pieces', () => continuations(50_000, 4)],
  [
    'two thousand settings in one frame',
    () => [
      http2Frame(FRAME.settings, 0, 0, manySettings),
      ...repeated(20_000, http2Frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
    ],
  ],
  [
    'settings again and again',
    () => repeated(100_000, http2Frame(FRAME.settings, 0, 0, Buffer.of(0, 4, 0, 1, 0, 0))),
  ],
  ['pings again and again', () => repeated(200_000, http2Frame(FRAME.ping, 0, 0, Buffer.alloc(8)))],
  ['empty frames of a type that nobody knows', () => repeated(100_000, http2Frame(0xfa, 0, 0, NOTHING))],
]

test('W3: what these tests write is HTTP/2: without a flood the connection stays and is answered', async () => {
  const client = await RawClient.open(bare, 'h2')
  const ping = http2Frame(FRAME.ping, 0, 0, Buffer.from('pingpong'))
  client.socket.write(
    Buffer.concat([HTTP2_START, http2Frame(FRAME.headers, END_STREAM_AND_HEADERS, 1, GET_ROOT), ping]),
  )
  await client.untilHeard('pingpong')
  await client.writeAll([...rapidResets(20)].slice(1))
  client.socket.write(http2Frame(FRAME.ping, 0, 0, Buffer.from('stillher')))
  await client.untilHeard('stillher')
  assert.ok(client.isOpen)
  client.close()
})

for (const [name, flood] of FLOODS)
  test(`W3: ${name}: the connection ends or is held back, memory is bounded, others are served`, async () => {
    const before = await heldBytes()
    const client = await RawClient.open(bare, 'h2')
    client.socket.write(HTTP2_START)
    client.socket.pause()
    const stuck = new Promise<'held back'>((resolve) => setTimeout(resolve, 2_000, 'held back').unref())
    const outcome = await Promise.race([client.writeAll(flood()), stuck])
    const session = connect(bare.url, { ca: bare.ca })
    const reply = await exchange(session, { ':method': 'PUT', ':path': '/say' }, Buffer.from('{"said":"hi"}'))
    assert.equal(reply.status, 200)
    session.destroy()
    const grown = (await heldBytes()) - before
    assert.ok(grown < 48 * MIB, `${Math.round(grown / MIB)} MiB more`)
    assert.notEqual(outcome, true, 'the server took all of it')
    client.close()
  })
