import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  WebSocketMessage,
  WebSocketMessage_Type,
  type WebSocketRequestMessage,
  type WebSocketResponseMessage,
} from './gen/websocket.js'
import {
  decodeFrame,
  encodeRequest,
  encodeResponse,
  type FrameId,
  MAX_FRAME_HEADERS,
  type RequestFrame,
  type ResponseFrame,
} from './websocket.ts'

const MAX_ID = 2n ** 64n - 1n

const text = fc.string({ unit: 'grapheme', maxLength: 200 })
const body = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
const headers = fc.array(text, { maxLength: 5 })
/** As the other codec has them: exact up to 2^53. */
const smallId = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const anyId = fc
  .oneof(
    fc.bigInt({ min: 0n, max: MAX_ID }),
    fc.integer({ min: 0, max: 64 }).map((bits) => 2n ** BigInt(bits) - 1n),
  )
  .map((id): FrameId => (id <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(id) : id))
const requestWith = (id: fc.Arbitrary<FrameId>) =>
  fc.record({ id, verb: text, path: text, headers, body }, { noNullPrototype: true })
const responseWith = (id: fc.Arbitrary<FrameId>) =>
  fc.record(
    { id, status: fc.integer({ min: 0, max: 2 ** 31 - 1 }), message: text, headers, body },
    { noNullPrototype: true },
  )

const { REQUEST, RESPONSE } = WebSocketMessage_Type
/** The codec keeps what was absent in the prototype. */
const requestOf = ({ id, verb, path, headers, body }: WebSocketRequestMessage) => ({
  ...{ id, verb, path, headers: [...headers] },
  body: Buffer.from(body),
})
const responseOf = ({ id, status, message, headers, body }: WebSocketResponseMessage) => ({
  ...{ id, status, message, headers: [...headers] },
  body: Buffer.from(body),
})

test('a request that we write is the one that the generated codec reads', () => {
  fc.assert(
    fc.property(requestWith(smallId), (request) => {
      const { type, request: read, response } = WebSocketMessage.decode(encodeRequest(request))
      assert.deepEqual([type, response], [REQUEST, null])
      assert.deepEqual(requestOf(read!), request)
    }),
  )
})

test('a response that we write is the one that the generated codec reads', () => {
  fc.assert(
    fc.property(responseWith(smallId), (written) => {
      const { type, request, response } = WebSocketMessage.decode(encodeResponse(written))
      assert.deepEqual([type, request], [RESPONSE, null])
      assert.deepEqual(responseOf(response!), written)
    }),
  )
})

test('a request that the generated codec writes is the one that we read', () => {
  fc.assert(
    fc.property(requestWith(smallId as fc.Arbitrary<number>), (request) => {
      const init = { ...request, id: request.id as number }
      const frame = decodeFrame(
        Buffer.from(WebSocketMessage.encode({ type: REQUEST, request: init }).finish()),
      )
      assert.deepEqual(frame, { kind: 'request', ...request })
    }),
  )
})

test('a response that the generated codec writes is the one that we read', () => {
  fc.assert(
    fc.property(responseWith(smallId as fc.Arbitrary<number>), (response) => {
      const init = { ...response, id: response.id as number }
      const bytes = WebSocketMessage.encode({ type: RESPONSE, response: init }).finish()
      assert.deepEqual(decodeFrame(Buffer.from(bytes)), { kind: 'response', ...response })
    }),
  )
})

function varint(value: bigint): Buffer {
  const bytes = []
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) return Buffer.from([...bytes, Number(rest)])
    bytes.push(Number(rest & 0x7fn) | 0x80)
  }
}

test('an id keeps all its 64 bits, in requests and in responses', () => {
  fc.assert(
    fc.property(anyId, (id) => {
      const request = { id, verb: 'GET', path: '/', headers: [], body: Buffer.alloc(0) }
      const response = { id, status: 200, message: 'OK', headers: [], body: Buffer.alloc(0) }
      const [asked, answered] = [encodeRequest(request), encodeResponse(response)]
      assert.equal(decodeFrame(asked)?.id, id)
      assert.equal(decodeFrame(answered)?.id, id)
      const onWire = varint(BigInt(id))
      assert.ok(asked.includes(Buffer.concat([Buffer.of(0x20), onWire])))
      assert.ok(answered.includes(Buffer.concat([Buffer.of(0x08), onWire])))
    }),
  )
})

test('a frame without an id has none', () => {
  const request: RequestFrame = {
    kind: 'request',
    id: undefined,
    verb: 'PUT',
    path: '/x',
    headers: ['a:b'],
    body: Buffer.of(1),
  }
  assert.deepEqual(decodeFrame(encodeRequest(request)), request)
  const response: ResponseFrame = {
    kind: 'response',
    id: undefined,
    status: 404,
    message: '',
    headers: [],
    body: Buffer.alloc(0),
  }
  assert.deepEqual(decodeFrame(encodeResponse(response)), response)
})

test('a frame that ends early is none', () => {
  const whole = encodeRequest({
    id: MAX_ID,
    verb: 'PUT',
    path: '/v1/x',
    headers: ['a:b'],
    body: Buffer.of(1, 2),
  })
  for (let size = 0; size < whole.length; size++)
    assert.equal(decodeFrame(whole.subarray(0, size)), undefined)
  assert.ok(decodeFrame(whole))
})

test('fields that we do not know are passed over', () => {
  const known = encodeRequest({ id: 5, verb: 'GET', path: '/', headers: [], body: Buffer.alloc(0) })
  const unknown = [
    [0x78, 0xff, 0x01],
    [0x7a, 0x02, 1, 2],
    [0x79, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x7d, 1, 2, 3, 4],
    [0xfa, 0xff, 0x03, 0x00],
  ].map((bytes) => Buffer.from(bytes))
  for (const field of unknown)
    for (const bytes of [Buffer.concat([field, known]), Buffer.concat([known, field])])
      assert.equal(decodeFrame(bytes)?.id, 5)
})

test('headers beyond the limit make no frame', () => {
  const withHeaders = (count: number) =>
    encodeRequest({ id: 1, verb: 'GET', path: '/', headers: Array(count).fill('a:b'), body: Buffer.alloc(0) })
  assert.ok(decodeFrame(withHeaders(MAX_FRAME_HEADERS)))
  assert.equal(decodeFrame(withHeaders(MAX_FRAME_HEADERS + 1)), undefined)
})

test('whatever bytes come, there is a frame or none, and never an error', () => {
  const valid = requestWith(anyId).map((request) => encodeRequest(request))
  const mutated = fc
    .tuple(valid, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }))
    .map(([frame, changes]) => {
      const copy = Buffer.from(frame)
      for (const [at, value] of changes) copy[at % copy.length] = value
      return copy
    })
  fc.assert(
    fc.property(fc.oneof(body, mutated), (bytes) => {
      const frame = decodeFrame(bytes)
      assert.ok(frame === undefined || frame.kind === 'request' || frame.kind === 'response')
    }),
    { numRuns: 3_000 },
  )
})
