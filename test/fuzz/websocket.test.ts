// Frames that no client should send: answered, ignored, or the end of that socket with 1007 or 1009; never of the server.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import {
  decodeFrame,
  encodeRequest,
  encodeResponse,
  MAX_FRAME_BYTES,
  MAX_FRAME_HEADERS,
} from '../../wire/websocket.ts'
import { authorizationOf } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { RawSocket } from '../client/raw-socket.ts'
import { Fuzzer } from './fuzzer.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 250)
const SEED = process.env['FUZZ_SEED']
const settings = { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) }

let fuzzer: Fuzzer
before(async () => {
  fuzzer = await Fuzzer.open()
})
after(() => fuzzer.close())

const NOTHING = Buffer.alloc(0)
const KEEPALIVE = { verb: 'GET', path: '/v1/keepalive', headers: [], body: NOTHING }
const open = (httpVersion: 1 | 2) =>
  RawSocket.open(fuzzer.server.ready, httpVersion, { headers: authorizationOf(fuzzer.cast.own) })

let lastId = 0

/** Sends a frame, then asks; tells how the socket ended if it did, or that it lives. */
function fate({ websocket }: RawSocket, frame: Buffer): Promise<number | 'alive'> {
  const id = ++lastId
  return new Promise((resolve) => {
    const ended = (code: number) => resolve(code)
    const heard = (data: Buffer) => {
      const answer = decodeFrame(data)
      if (answer?.kind !== 'response' || answer.id !== id || answer.status !== 200) return
      websocket.off('message', heard).off('close', ended)
      resolve('alive')
    }
    websocket.on('message', heard).once('close', ended)
    websocket.send(frame)
    websocket.send(encodeRequest({ ...KEEPALIVE, id }))
  })
}

const frames = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({
      verb: fc.constantFrom('GET', 'PUT', '', 'get', 'CONNECT', 'PUT\r\n', '\0'),
      path: fc.oneof(
        fc.constantFrom('/v1/keepalive', '', '*', '//', '/v1/keepalive?%', 'https://x/'),
        fc.string(),
      ),
      headers: fc.array(fc.oneof(fc.string(), fc.constantFrom(':', 'a:', ':b', '__proto__:x')), {
        maxLength: 5,
      }),
      body: fc.uint8Array({ maxLength: 50 }),
      id: fc.bigInt({ min: 1n << 20n, max: (1n << 64n) - 1n }),
    })
    .map(encodeRequest),
  fc
    .record({
      id: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      status: fc.nat(),
      message: fc.string(),
      headers: fc.array(fc.string(), { maxLength: 3 }),
      body: fc.uint8Array({ maxLength: 20 }),
    })
    .map(encodeResponse),
)

const damaged = fc
  .tuple(frames, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(3))
  .map(([frame, changes, cut]) => {
    const copy = Buffer.from(frame)
    for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length]! ^= value
    return copy.subarray(0, Math.max(0, copy.length - cut))
  })

for (const httpVersion of HTTP_VERSIONS) {
  test(`a random or damaged frame is answered, ignored or ends its socket with 1007 (HTTP/${httpVersion})`, async () => {
    let socket = await open(httpVersion)
    const lives = fc.asyncProperty(fc.oneof(frames, damaged), async (frame) => {
      const outcome = await fate(socket, frame)
      assert.ok(outcome === 'alive' || outcome === 1007, `${outcome}`)
      if (outcome === 'alive') return
      await socket.close()
      socket = await open(httpVersion)
    })
    await fc.assert(lives, settings)
    await socket.close()
    await fuzzer.assertWell()
  })

  test(`what is no frame ends the socket with 1007 Badly formatted (HTTP/${httpVersion})`, async () => {
    const tooMany = Array.from({ length: MAX_FRAME_HEADERS + 1 }, () => 'a:b')
    const bad = [
      NOTHING,
      Buffer.of(0x08, 0),
      Buffer.of(0x08, 9),
      Buffer.of(0x08, 1),
      Buffer.of(0x08, 1, 0x12, 0x7f),
      Buffer.of(0x0f),
      Buffer.alloc(2000, 0xff),
      Buffer.alloc(10_000, 0x0b),
      encodeRequest({ ...KEEPALIVE, headers: tooMany, id: 1 }),
    ]
    for (const frame of bad) {
      const socket = await open(httpVersion)
      socket.websocket.send(frame)
      assert.deepEqual(
        await socket.closed(),
        { code: 1007, reason: 'Badly formatted' },
        frame.toString('hex', 0, 9),
      )
      await socket.close()
    }
    await fuzzer.assertWell()
  })

  test(`a frame of 784 KiB is read, one byte more ends the socket with 1009 (HTTP/${httpVersion})`, async () => {
    const around = encodeRequest({ ...KEEPALIVE, body: Buffer.alloc(400_000), id: 7 }).length - 400_000
    const sized = (bytes: number) =>
      encodeRequest({ ...KEEPALIVE, body: Buffer.alloc(bytes - around), id: 7 })
    await using socket = await open(httpVersion)
    socket.websocket.send(sized(MAX_FRAME_BYTES))
    assert.equal((await socket.responses.next()).status, 413)
    socket.websocket.send(sized(MAX_FRAME_BYTES + 1))
    assert.equal((await socket.closed()).code, 1009)
    await fuzzer.assertWell()
  })

  test(`a text frame is not looked at (HTTP/${httpVersion})`, async () => {
    await using socket = await open(httpVersion)
    for (const text of ['', '{"type":1}', 'x'.repeat(100_000)]) socket.websocket.send(text)
    assert.equal((await socket.ask(KEEPALIVE.verb, KEEPALIVE.path)).status, 200)
  })
}
