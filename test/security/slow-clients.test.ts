// W2: who is slow on purpose is cut off, who opens too many connections gets no more, and nobody else notices.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { after, before, test } from 'node:test'
import { GrpcStream } from '../client/grpc-stream.ts'
import { exchange } from '../fuzz/doors.ts'
import { within } from '../within.ts'
import { type BareDoors, Chat, openBareDoors } from './bare-doors.ts'
import { HTTP2_START, RawClient } from './raw-bytes.ts'

const timeouts = { handshakeMs: 300, headersMs: 300, requestMs: 600, idleMs: 500 }
/** Where a limit is not kept, nothing closes the connection for ever. */
const CUT_WITHIN_MS = 6_000

let bare: BareDoors
before(async () => {
  bare = await openBareDoors({ timeouts })
})
after(() => bare[Symbol.asyncDispose]())

async function assertOthersAreServed(): Promise<void> {
  const session = connectHttp2(bare.url, { ca: bare.ca })
  const headers = { ':method': 'PUT', ':path': '/say' }
  const reply = await exchange(session, headers, Buffer.from('{"said":"hello"}'))
  session.destroy()
  assert.deepEqual([reply.status, String(Buffer.from(reply.body))], [200, '{"said":"hello"}'])
}

/** Writes a byte every few milliseconds, for as long as there is a connection. */
function drip(client: { write(byte: string): unknown; destroyed: boolean }): NodeJS.Timeout {
  const timer = setInterval(() => (client.destroyed ? clearInterval(timer) : client.write('a')), 40)
  return timer
}

test('W2: a connection that never begins with TLS is cut', async () => {
  const socket = connectTcp(bare.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await assertOthersAreServed()
  await within(once(socket, 'close'), 'the cut', CUT_WITHIN_MS)
  assert.ok(socket.destroyed)
})

test('W2: a connection on which no request begins is cut (HTTP/1.1)', async () => {
  const client = await RawClient.open(bare, 'http/1.1')
  await assertOthersAreServed()
  await client.untilClosed(CUT_WITHIN_MS)
  assert.ok(!client.isOpen)
})

test('W2: headers that come byte by byte are cut off with 408 (HTTP/1.1)', async () => {
  const client = await RawClient.open(bare, 'http/1.1')
  client.socket.write('PUT /say HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
  const timer = drip(client.socket)
  await assertOthersAreServed()
  await client.untilClosed(CUT_WITHIN_MS)
  clearInterval(timer)
  assert.match(client.heard.toString('latin1'), /^HTTP\/1\.1 408 /)
  assert.match(client.heard.toString('latin1'), /X-Signal-Timestamp: \d{13}/)
})

test('W2: a body that comes byte by byte is cut off with 408 (HTTP/1.1)', async () => {
  const client = await RawClient.open(bare, 'http/1.1')
  client.socket.write('PUT /say HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n')
  const timer = drip(client.socket)
  await assertOthersAreServed()
  await client.untilClosed(CUT_WITHIN_MS)
  clearInterval(timer)
  assert.match(client.heard.toString('latin1'), /^HTTP\/1\.1 408 /)
})

test('W2: a body that comes byte by byte is cut off with 408, and the connection stays (HTTP/2)', async () => {
  const session = connectHttp2(bare.url, { ca: bare.ca })
  const stream = session.request({ ':method': 'PUT', ':path': '/say' }, { endStream: false })
  stream.on('error', () => {})
  stream.resume()
  const timer = drip(stream)
  const [head] = await within(once(stream, 'response'), 'an answer', CUT_WITHIN_MS)
  assert.equal(head[':status'], 408)
  await within(once(stream, 'close'), 'the end of the stream', CUT_WITHIN_MS)
  clearInterval(timer)
  const reply = await exchange(session, { ':method': 'PUT', ':path': '/say' }, Buffer.from('{"said":"on"}'))
  assert.equal(reply.status, 200)
  session.destroy()
})

test('W2: a connection with a silent stream of calls stays, and takes new calls', async () => {
  const session = connectHttp2(bare.url, { ca: bare.ca })
  let refused = false
  session.on('goaway', () => {
    refused = true
  })
  const first = new GrpcStream(session, Chat.rpcs.chat, {})
  first.send({ keyId: 1 })
  assert.equal((await first.next())?.keyId, 1)
  // Two that say nothing, one after the other: so long it was silent, too.
  for (let count = 0; count < 2; count++) {
    const silent = connectHttp2(bare.url, { ca: bare.ca })
    await once(silent, 'close')
  }
  const second = new GrpcStream(session, Chat.rpcs.chat, {})
  for (const stream of [first, second]) {
    stream.send({ keyId: 2 })
    assert.equal((await stream.next())?.keyId, 2)
  }
  assert.equal(refused, false)
  session.destroy()
})

test('W2: a connection that says nothing is closed (HTTP/2)', async () => {
  const mute = await RawClient.open(bare, 'h2')
  const begun = await RawClient.open(bare, 'h2')
  begun.socket.write(HTTP2_START)
  await assertOthersAreServed()
  await Promise.all([mute.untilClosed(CUT_WITHIN_MS), begun.untilClosed(CUT_WITHIN_MS)])
  assert.ok(!mute.isOpen && !begun.isOpen)
})

test('W2: one address may hold so many connections and no more, another address its own', async () => {
  const limits = { maxConnectionsPerAddress: 5, countLoopback: true }
  await using few = await openBareDoors(limits)
  const open = (address: string) => RawClient.open(few, 'h2', address)
  const held = await Promise.all(Array.from({ length: 5 }, () => open('127.0.0.1')))
  const sixth = await open('127.0.0.1')
  await sixth.untilClosed()
  const elsewhere = await open('127.0.0.2')
  assert.ok(elsewhere.isOpen)
  assert.ok(held.every((client) => client.isOpen))
  held[0]!.close()
  const until = async () => {
    for (let next = await open('127.0.0.1'); ; next = await open('127.0.0.1')) {
      if (next.isOpen) return next
    }
  }
  const again = await within(until(), 'a place that was given back')
  assert.ok(again.isOpen)
  for (const client of [...held, elsewhere, again]) client.close()
})
