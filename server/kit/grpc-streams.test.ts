import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect, createServer, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { detailsOf } from '../../test/client/grpc.ts'
import { framed, GrpcStream } from '../../test/client/grpc-stream.ts'
import { until } from '../../test/until.ts'
import { EcPreKey } from '../../wire/gen/common.js'
import type { Rpc, Service } from '../../wire/service.ts'
import { ManualClock } from './clock.ts'
import { GrpcDoor } from './grpc.ts'
import { CallOver, MAX_BUFFERED_BYTES, REQUEST_MS, SILENT_MS, STALLED_MS } from './grpc-call.ts'
import { PING_MS } from './grpc-calls.ts'
import { implementService, type Replies, type RepliesHandler, type StreamHandler } from './grpc-service.ts'
import { GrpcCode, GrpcFailure } from './grpc-status.ts'
import { Refusal } from './refusal.ts'

const MAX_BYTES = 100_000

type Message = typeof EcPreKey
type Talk = Rpc<Message, Message, 'both'>
type List = Rpc<Message, Message, 'replies'>
const codecs = { request: EcPreKey, response: EcPreKey, maxRequestBytes: MAX_BYTES }
const talk: Talk = { path: '/test.Test/Talk', stream: 'both', ...codecs }
const linger: Talk = { path: '/test.Test/Linger', stream: 'both', longLived: true, ...codecs }
const list: List = { path: '/test.Test/List', stream: 'replies', ...codecs }
const TestService = { name: 'test.Test', auth: 'anonymous', rpcs: { talk, linger, list } } satisfies Service

type OnTalk = StreamHandler<Talk, { remoteAddress: string }>
type Out = Replies<{ keyId: number }>

let onTalk: OnTalk
let onList: RepliesHandler<List, unknown>
let bugs: unknown[]
let clock: ManualClock
let door: GrpcDoor
let server: ReturnType<typeof createServer>
let session: ClientHttp2Session

beforeEach(async () => {
  bugs = []
  clock = new ManualClock()
  door = new GrpcDoor({
    methods: implementService(TestService, {
      talk: (requests, replies, call) => onTalk(requests, replies, call),
      linger: (requests, replies, call) => onTalk(requests, replies, call),
      list: (request, replies, call) => onList(request, replies, call),
    }),
    authenticate: () => undefined,
    clock,
    onBug: (error) => bugs.push(error),
  })
  server = createServer().on('stream', (stream, headers) => door.serve(stream, headers, '192.0.2.7'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

afterEach(() => {
  session.destroy()
  server.close()
  assert.equal(door.size, 0)
  assert.deepEqual(bugs, [])
})

const echo: OnTalk = async (requests, replies) => {
  for await (const request of requests) await replies.send(request)
}
const open = (rpc: Talk | List = talk, headers: Record<string, string> = {}) =>
  new GrpcStream<Message, Message>(session, rpc, headers)

/** Status, and reason if it has one. */
function verdict(headers: IncomingHttpHeaders): string {
  const { reason } = detailsOf(headers)
  return reason ? `${headers['grpc-status']} ${reason}` : String(headers['grpc-status'])
}

/** A handler that says when it began and with what it was woken; it waits until the call is over. */
function waiting(): { handler: OnTalk; began: Promise<Out>; woken: Promise<unknown> } {
  const began = Promise.withResolvers<Out>()
  const woken = Promise.withResolvers<unknown>()
  const handler: OnTalk = async (requests, replies) => {
    began.resolve(replies)
    try {
      for await (const _ of requests);
      // Node's client says that it is done before it resets a stream.
      if (!replies.over.aborted) await once(replies.over, 'abort')
      replies.over.throwIfAborted()
    } catch (error) {
      woken.resolve(error)
      throw error
    }
  }
  return { handler, began: began.promise, woken: woken.promise }
}

/** Lets the two ends hear each other. */
async function exchange(rounds = 2): Promise<void> {
  for (let round = 0; round < rounds; round++) await new Promise((resolve) => session.ping(resolve))
}

const numbers = (replies: readonly { keyId: number }[]) => replies.map(({ keyId }) => keyId)

test('both sides speak in turns, on one call, until the client is done', async () => {
  onTalk = echo
  const call = open()
  for (const keyId of [1, 2, 3]) {
    call.send({ keyId })
    assert.equal((await call.next())?.keyId, keyId)
  }
  call.finish()
  assert.equal(await call.next(), undefined)
  assert.equal(verdict(await call.ended), '0')
})

test('one request has any number of replies', async () => {
  onList = async ({ keyId }, replies) => {
    for (let number = 0; number < keyId; number++) await replies.send({ keyId: number })
  }
  for (const count of [0, 1, 500]) {
    const call = open(list)
    call.send({ keyId: count })
    call.finish()
    assert.deepEqual(numbers(await call.all()), [...Array(count).keys()])
    assert.equal(verdict(await call.ended), '0')
  }
})

test('a call that streams replies takes exactly one request', async () => {
  onList = async () => assert.fail('was called')
  for (const count of [0, 2]) {
    const call = open(list)
    for (let sent = 0; sent < count; sent++) call.send({})
    call.finish()
    assert.equal(verdict(await call.ended), '13')
  }
})

test('requests may come byte by byte, or many at a time', async () => {
  onTalk = echo
  const messages = [3, 1_000, 0, 70_000].map((size, keyId) => ({
    keyId,
    publicKey: Buffer.alloc(size, keyId),
  }))
  const bytes = Buffer.concat(messages.map((message) => framed(EcPreKey.encode(message).finish())))
  const inPieces = open()
  for (const byte of bytes.subarray(0, 1_030)) inPieces.stream.write(Uint8Array.of(byte))
  inPieces.stream.end(bytes.subarray(1_030))
  const atOnce = open()
  atOnce.stream.end(bytes)
  for (const call of [inPieces, atOnce]) {
    const replies = await call.all()
    assert.deepEqual(
      replies.map(({ keyId, publicKey }) => ({ keyId, publicKey: Buffer.from(publicKey) })),
      messages,
    )
  }
})

test('a request that is too long, compressed, cut short or no message ends the call', async () => {
  onTalk = echo
  const tooLong = Buffer.alloc(5)
  tooLong.writeUInt32BE(MAX_BYTES + 1, 1)
  const cases: [Uint8Array, string][] = [
    [tooLong, '8'],
    [framed(Buffer.alloc(4), 1), '12'],
    [framed(Buffer.of(0x12, 0xff)), '3 CONSTRAINT_VIOLATED'],
  ]
  for (const [bytes, expected] of cases) {
    const call = open()
    call.send({ keyId: 1 })
    assert.equal((await call.next())?.keyId, 1)
    call.stream.write(bytes)
    assert.equal(verdict(await call.ended), expected)
  }
  const short = open()
  short.stream.end(framed(Buffer.alloc(10)).subarray(0, 12))
  assert.equal(verdict(await short.ended), '13')
})

test('a refusal and a failure of the protocol are told after replies as well as before', async () => {
  const own = { name: 'test.Reason', bytes: Buffer.of(8, 1) }
  const failures: [Error, string][] = [
    [new Refusal('rate-limited', { retryAfterSeconds: 7 }), '8 RESOURCE_EXHAUSTED'],
    [new GrpcFailure({ code: GrpcCode.aborted, reason: 'STREAM_CLOSED', own }), '10 STREAM_CLOSED'],
  ]
  for (const [failure, expected] of failures)
    for (const before of [0, 2]) {
      onTalk = async (_requests, replies) => {
        for (let keyId = 0; keyId < before; keyId++) await replies.send({ keyId })
        throw failure
      }
      const call = open()
      assert.equal((await call.all()).length, before)
      assert.equal(verdict(await call.ended), expected)
    }
})

test('a bug is told once, and the caller learns nothing of it', async () => {
  onTalk = async (_requests, replies) => {
    await replies.send({ keyId: 1 })
    throw new TypeError('secret')
  }
  const call = open()
  assert.equal((await call.next())?.keyId, 1)
  const trailers = await call.ended
  assert.equal(verdict(trailers), '2')
  assert.ok(!JSON.stringify(trailers).includes('secret'))
  assert.equal(bugs.splice(0).length, 1)
})

test('who has answered in full has the client stop sending', async () => {
  onTalk = async (requests, replies) => {
    await requests.next()
    await replies.send({ keyId: 9 })
  }
  const call = open()
  call.send({})
  call.send({})
  assert.equal((await call.all()).length, 1)
  assert.equal(verdict(await call.ended), '0')
  assert.equal(call.stream.rstCode, 0)
})

test('a client that goes away ends the handler', async () => {
  const endings = [(call: GrpcStream<Message, Message>) => call.cancel(), () => session.socket.destroy()]
  for (const end of endings) {
    const { handler, began, woken } = waiting()
    onTalk = handler
    const call = open()
    call.send({})
    const replies = await began
    end(call)
    assert.ok((await woken) instanceof CallOver)
    assert.equal(replies.over.aborted, true)
    replies.write({ keyId: 1 })
    await assert.rejects(replies.send({ keyId: 1 }), CallOver)
    assert.equal(door.size, 0)
  }
})

test('a call ends at its deadline', async () => {
  const { handler, began, woken } = waiting()
  onTalk = handler
  const call = open(linger, { 'grpc-timeout': '2S' })
  await began
  clock.advance(1_999)
  assert.equal(door.size, 1)
  clock.advance(1)
  assert.equal(verdict(await call.ended), '4')
  assert.ok((await woken) instanceof CallOver)
})

test('a deadline has the form of the protocol', async () => {
  onTalk = echo
  for (const timeout of ['', '1', '1X', '123456789S', '-1S', '1.5S']) {
    assert.equal(verdict(await open(talk, { 'grpc-timeout': timeout }).ended), '13', timeout)
  }
  for (const timeout of ['1H', '1M', '1S', '1000m', '9999999u', '99999999n']) {
    const call = open(talk, { 'grpc-timeout': timeout })
    call.finish()
    assert.equal(verdict(await call.ended), '0', timeout)
  }
})

test('a handler is ended from outside by what it would have thrown', async () => {
  const { handler, began, woken } = waiting()
  onTalk = handler
  const call = open(linger)
  const replies = await began
  replies.write({ keyId: 1 })
  replies.fail(new Refusal('invalid-credentials'))
  replies.fail(new Refusal('timeout'))
  replies.write({ keyId: 2 })
  assert.deepEqual(numbers(await call.all()), [1])
  assert.equal(verdict(await call.ended), '16 INVALID_CREDENTIALS')
  assert.ok((await woken) instanceof CallOver)
})

test('a server that stops ends the calls it has, and those that still come', async () => {
  const { handler, began, woken } = waiting()
  onTalk = handler
  const call = open(linger)
  await began
  door.close()
  assert.equal(verdict(await call.ended), '14 UNAVAILABLE')
  assert.ok((await woken) instanceof CallOver)
  assert.equal(verdict(await open(linger).ended), '14 UNAVAILABLE')
})

test('a client that begins and never sends is given up', async () => {
  for (const rpc of [talk, linger]) {
    const { handler, began } = waiting()
    onTalk = handler
    const call = open(rpc)
    await began
    clock.advance(REQUEST_MS)
    assert.equal(verdict(await call.ended), '14 UNAVAILABLE')
  }
})

test('a client that stops in the middle of a request is given up', async () => {
  onTalk = echo
  for (const rpc of [talk, linger]) {
    const call = open(rpc)
    call.send({ keyId: 1 })
    assert.equal((await call.next())?.keyId, 1)
    call.stream.write(Buffer.of(0, 0, 0))
    call.stream.write(Buffer.of(0))
    await exchange()
    clock.advance(REQUEST_MS)
    assert.equal(verdict(await call.ended), '14 UNAVAILABLE')
  }
})

test('a client may be silent for a while, and on a long-lived call for ever', async () => {
  onTalk = echo
  const [short, long] = [open(talk), open(linger)]
  for (const call of [short, long]) {
    call.send({ keyId: 1 })
    assert.equal((await call.next())?.keyId, 1)
  }
  clock.advance(SILENT_MS - 5_000)
  short.send({ keyId: 2 })
  assert.equal((await short.next())?.keyId, 2)
  await exchange()
  clock.advance(SILENT_MS)
  assert.equal(verdict(await short.ended), '14 UNAVAILABLE')
  await exchange()
  clock.set(clock.nowMs() + 86_400_000)
  clock.advance(SILENT_MS)
  long.send({ keyId: 3 })
  assert.equal((await long.next())?.keyId, 3)
  long.finish()
  assert.equal(verdict(await long.ended), '0')
})

test('requests are not read before the handler asks: the client has to wait', async () => {
  const go = Promise.withResolvers<void>()
  onTalk = async (requests, replies) => {
    await requests.next()
    replies.write({ keyId: 0 })
    await go.promise
    let count = 1
    for await (const _ of requests) count++
    await replies.send({ keyId: count })
  }
  const call = open()
  const request = framed(EcPreKey.encode({ publicKey: Buffer.alloc(50_000) }).finish())
  for (let sent = 0; sent < 100; sent++) call.stream.write(request)
  call.finish()
  await call.next()
  await exchange(20)
  const unsent = call.stream.writableLength
  assert.ok(unsent > 4_000_000, `${unsent} of 5 MB wait at the client`)
  go.resolve()
  assert.equal((await call.next())?.keyId, 100)
  assert.equal(verdict(await call.ended), '0')
})

test('a client that reads nothing is sent no more than it can take, and later gets all of it', async () => {
  let sent = 0
  onList = async (_request, replies) => {
    for (; sent < 100; sent++) await replies.send({ keyId: sent, publicKey: Buffer.alloc(50_000) })
  }
  const call = open(list)
  call.send({})
  call.finish()
  await once(call.stream, 'response')
  await exchange(20)
  assert.ok(sent * 50_000 < 2 * MAX_BUFFERED_BYTES + 200_000, `${sent} replies were written`)
  assert.equal((await call.all()).length, 100)
})

test('a call that is not for long holds less for a client that reads nothing than one that is', async () => {
  const written: number[] = []
  for (const rpc of [talk, linger]) {
    const full = Promise.withResolvers<number>()
    onTalk = async (_requests, replies) => {
      let count = 0
      while (!replies.congested) replies.write({ keyId: ++count, publicKey: Buffer.alloc(1_000) })
      full.resolve(count)
      await once(replies.over, 'abort')
    }
    const call = open(rpc)
    written.push((await full.promise) * 1_000)
    call.cancel()
    await until(() => door.size === 0, 'the end of the call')
  }
  const [short, long] = written
  assert.ok(short! < 80_000, `${short} bytes`)
  assert.ok(long! > 250_000 && long! < MAX_BUFFERED_BYTES + 100_000, `${long} bytes`)
})

test('a client that leaves what waits for it is cut off', async () => {
  const over = Promise.withResolvers<unknown>()
  onList = async (_request, replies) => {
    try {
      for (;;) await replies.send({ keyId: 1, publicKey: Buffer.alloc(50_000) })
    } catch (error) {
      over.resolve(error)
      throw error
    }
  }
  const call = open(list)
  call.send({})
  call.finish()
  await once(call.stream, 'response')
  await exchange(20)
  clock.advance(STALLED_MS)
  assert.ok((await over.promise) instanceof CallOver)
  await call.ended
  assert.equal(call.stream.rstCode, 8)
})

test('room is told to a writer that does not wait', async () => {
  const congested = Promise.withResolvers<void>()
  const room = Promise.withResolvers<void>()
  onTalk = async (_requests, replies) => {
    replies.onRoom(() => room.resolve())
    for (let keyId = 0; !replies.congested; keyId++) replies.write({ keyId, publicKey: Buffer.alloc(50_000) })
    congested.resolve()
    await room.promise
    assert.equal(replies.congested, false)
  }
  const call = open(linger)
  await congested.promise
  const replies = numbers(await call.all())
  assert.deepEqual(replies, [...replies.keys()])
  assert.ok(replies.length > 5)
  assert.equal(verdict(await call.ended), '0')
})

test('the last words of a call are not waited for long', async () => {
  onList = async (_request, replies) => {
    for (let keyId = 0; keyId < 5; keyId++) replies.write({ keyId, publicKey: Buffer.alloc(50_000) })
  }
  const call = open(list)
  call.send({})
  call.finish()
  await until(() => door.size === 0, 'the handler to be done')
  await once(call.stream, 'response')
  await setImmediate()
  clock.advance(10_000)
  await call.ended
  assert.equal(call.stream.rstCode, 8)
})

test('a connection with calls that no longer answers is cut', async () => {
  const { handler, began, woken } = waiting()
  onTalk = handler
  const call = open(linger)
  call.send({})
  await began
  await exchange()
  clock.advance(PING_MS)
  await exchange()
  clock.advance(PING_MS)
  await exchange()
  assert.equal(door.size, 1)
  // Twice, with no time to answer in between.
  clock.advance(2 * PING_MS)
  assert.ok((await woken) instanceof CallOver)
})

test('unary and streaming handlers do not compile in place of each other', () => {
  const unary = async () => ({ keyId: 1 })
  // @ts-expect-error a reply where replies are streamed
  assert.equal(implementService(TestService, { talk: unary, linger: echo, list: 'unimplemented' }).length, 2)
})
