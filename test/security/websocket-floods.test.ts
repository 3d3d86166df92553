// W1: what a client may do to its websocket ends that socket at most; memory stays bounded, others are served.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, test } from 'node:test'
import { encodeRequest, MAX_FRAME_BYTES } from '../../wire/websocket.ts'
import { exchange } from '../fuzz/doors.ts'
import { type BareDoors, openBareDoors } from './bare-doors.ts'
import { heldBytes, RawClient, upgradeRequest, websocketFrame } from './raw-bytes.ts'

const MIB = 2 ** 20
const OPCODE = { continuation: 0, binary: 2, close: 8, ping: 9 } as const
const NOTHING = Buffer.alloc(0)

let bare: BareDoors
before(async () => {
  bare = await openBareDoors({})
})
after(() => bare[Symbol.asyncDispose]())

async function openSocket(headers: readonly string[] = []): Promise<RawClient> {
  const client = await RawClient.open(bare, 'http/1.1')
  client.socket.write(upgradeRequest(headers))
  await client.untilHeard('\r\n\r\n')
  return client
}

/** The code of the close frame that the server sent, if it sent one. */
function closeCode({ heard }: RawClient): number | undefined {
  const frames = heard.subarray(heard.indexOf('\r\n\r\n') + 4)
  for (let at = 0; at + 2 <= frames.length; ) {
    const length = frames[at + 1]! & 0x7f
    if ((frames[at]! & 0x0f) === OPCODE.close) return length >= 2 ? frames.readUInt16BE(at + 2) : undefined
    at += 2 + length + (length === 126 ? 2 : 0)
  }
  return undefined
}

async function assertOthersAreServed(): Promise<void> {
  const session = connect(bare.url, { ca: bare.ca })
  const reply = await exchange(session, { ':method': 'PUT', ':path': '/say' }, Buffer.from('{"said":"hi"}'))
  session.destroy()
  assert.equal(reply.status, 200)
}

test('W1: an upgrade with two thousand headers is refused, on either version of HTTP', async () => {
  const many = Array.from({ length: 2000 }, (_, index) => `x-${index}: 1`)
  const client = await RawClient.open(bare, 'http/1.1')
  client.socket.write(upgradeRequest(many))
  await client.untilClosed()
  assert.match(client.heard.toString('latin1'), /^HTTP\/1\.1 431 /)
  const session = connect(bare.url, { ca: bare.ca })
  session.on('error', () => {})
  const headers = {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/v1/websocket/',
    ':authority': 'localhost',
    ':scheme': 'https',
    'sec-websocket-version': '13',
    ...Object.fromEntries(many.map((line) => line.split(': ') as [string, string])),
  }
  await assert.rejects(
    exchange(session, headers, NOTHING).then(({ status }) => assert.ok(status >= 400, `${status}`)),
  )
  session.destroy()
  await assertOthersAreServed()
})

test('W1: many small headers within the size are cut to what a request may have, or refused', async () => {
  const client = await RawClient.open(bare, 'http/1.1')
  client.socket.write(upgradeRequest(Array.from({ length: 1000 }, (_, index) => `x${index}:`)))
  await client.untilHeard('\r\n\r\n')
  assert.match(client.heard.toString('latin1'), /^HTTP\/1\.1 (101|4\d\d) /)
  client.close()
  await assertOthersAreServed()
})

test('W1: a hundred thousand fragments without an end are the end of the socket', async () => {
  const before = await heldBytes()
  const client = await openSocket()
  client.socket.write(websocketFrame(OPCODE.binary, Buffer.of(8), { fin: false }))
  const fragment = websocketFrame(OPCODE.continuation, Buffer.of(1), { fin: false })
  const all = function* () {
    for (let index = 0; index < 100_000; index++) yield fragment
  }
  assert.equal(await client.writeAll(all()), false)
  await client.untilClosed()
  assert.ok([1008, 1009].includes(closeCode(client) ?? 0), `${closeCode(client)}`)
  assert.ok((await heldBytes()) - before < 16 * MIB)
  await assertOthersAreServed()
})

test('W1: fragments that together are more than 512 KiB are the end of the socket with 1009', async () => {
  const client = await openSocket()
  const piece = Buffer.alloc(32_000)
  client.socket.write(websocketFrame(OPCODE.binary, piece, { fin: false }))
  const count = Math.ceil(MAX_FRAME_BYTES / piece.length)
  const pieces = Array.from({ length: count }, () =>
    websocketFrame(OPCODE.continuation, piece, { fin: false }),
  )
  await client.writeAll(pieces)
  await client.untilClosed()
  assert.equal(closeCode(client), 1009)
  await assertOthersAreServed()
})

test('W1: compression is never agreed to, and a compressed frame is the end of the socket', async () => {
  const client = await openSocket(['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'])
  const answer = client.heard.toString('latin1')
  assert.match(answer, /^HTTP\/1\.1 101 /)
  assert.doesNotMatch(answer, /sec-websocket-extensions/i)
  client.socket.write(websocketFrame(OPCODE.binary, Buffer.alloc(100), { rsv1: true }))
  await client.untilClosed()
  assert.equal(closeCode(client), 1002)
})

test('W1: pings by the hundred thousand that nobody reads the answers of fill no memory', async () => {
  const before = await heldBytes()
  const client = await openSocket()
  client.socket.pause()
  const ping = websocketFrame(OPCODE.ping, Buffer.alloc(125))
  const all = function* () {
    for (let index = 0; index < 200_000; index++) yield ping
  }
  const stuck = new Promise<'held back'>((resolve) => setTimeout(resolve, 1_000, 'held back').unref())
  await Promise.race([client.writeAll(all()), stuck])
  await assertOthersAreServed()
  const grown = (await heldBytes()) - before
  assert.ok(grown < 24 * MIB, `${Math.round(grown / MIB)} MiB more`)
  client.close()
})

test('W1: requests that nobody reads the answers of are no longer taken', async () => {
  const before = await heldBytes()
  const client = await openSocket()
  client.socket.pause()
  const body = Buffer.from(JSON.stringify({ said: 'x'.repeat(30_000) }))
  const request = websocketFrame(
    OPCODE.binary,
    encodeRequest({ verb: 'PUT', path: '/say', headers: [], body, id: 1 }),
  )
  const all = function* () {
    for (let index = 0; index < 4_000; index++) yield request
  }
  const stuck = new Promise<'held back'>((resolve) => setTimeout(resolve, 1_000, 'held back').unref())
  assert.equal(await Promise.race([client.writeAll(all()), stuck]), 'held back')
  await assertOthersAreServed()
  const grown = (await heldBytes()) - before
  assert.ok(grown < 48 * MIB, `${Math.round(grown / MIB)} MiB more`)
  client.close()
})

test('W1: a socket that is half closed takes nothing with it', async () => {
  for (let index = 0; index < 50; index++) {
    const client = await openSocket()
    if (index % 2 === 0) client.socket.end()
    else client.close()
  }
  await assertOthersAreServed()
})
