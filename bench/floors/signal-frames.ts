// What a Signal server reads from a sender and writes to a recipient, and not one rule about it.
import { randomFillSync } from 'node:crypto'
import { bytesField, Fields, numberField, putLength, putNumber, varintSize } from '../protobuf.ts'

/** One message to one device, as both doors understand it. */
export type Submission = {
  readonly destination: string
  readonly type: number
  readonly timestampMs: number
  readonly content: Uint8Array
}
export type Frame =
  | { readonly kind: 'request'; readonly id: number; readonly submission: Submission }
  | { readonly kind: 'response'; readonly id: number; readonly status: number }

const RESPONSE = 2
const OK = Buffer.from('OK')
const MESSAGES = '/v1/messages/'
const UUID_LENGTH = 36
const ACCEPTED = Buffer.from('{"needsSync":false}')
const CONTENT_TYPE = 'Content-Type:application/json'
const CONTENT_LENGTH = `Content-Length:${ACCEPTED.length}`

const outer = new Fields(new Uint8Array())
const inner = new Fields(new Uint8Array())

/** Reads a WebSocketMessage from a client: a send, or the answer to a push. */
export function readFrame(frame: Buffer): Frame | undefined {
  let found: Frame | undefined
  outer.over(frame, 0, frame.length)
  while (outer.next()) {
    if (outer.field === 2) found = readRequest(frame, outer.start, outer.end)
    else if (outer.field === 3) found = readResponse(frame, outer.start, outer.end)
  }
  return found
}

function readRequest(frame: Buffer, start: number, end: number): Frame | undefined {
  let id = 0
  let path = ''
  let body = ''
  inner.over(frame, start, end)
  while (inner.next()) {
    if (inner.field === 2) path = frame.toString('latin1', inner.start, inner.end)
    else if (inner.field === 3) body = frame.toString('utf8', inner.start, inner.end)
    else if (inner.field === 4) id = inner.number
  }
  if (!path.startsWith(MESSAGES)) return undefined
  const { messages, timestamp } = JSON.parse(body)
  const { type, content } = messages[0]
  const submission = {
    destination: path.slice(MESSAGES.length, MESSAGES.length + UUID_LENGTH),
    type,
    timestampMs: timestamp,
    content: Buffer.from(content, 'base64'),
  }
  return { kind: 'request', id, submission }
}

function readResponse(frame: Buffer, start: number, end: number): Frame {
  let id = 0
  let status = 0
  inner.over(frame, start, end)
  while (inner.next()) {
    if (inner.field === 1) id = inner.number
    else if (inner.field === 2) status = inner.number
  }
  return { kind: 'response', id, status }
}

const ACCEPTED_TAIL = (nowMs: number) =>
  Buffer.concat([
    numberField(2, 200),
    bytesField(3, OK),
    bytesField(4, ACCEPTED),
    bytesField(5, CONTENT_TYPE),
    bytesField(5, `X-Signal-Timestamp:${nowMs}`),
    bytesField(5, CONTENT_LENGTH),
  ])
let acceptedAtMs = 0
let acceptedTail = Buffer.alloc(0)

/** The answer to an accepted send. */
export function accepted(id: number, nowMs: number): Buffer {
  if (nowMs !== acceptedAtMs) {
    acceptedAtMs = nowMs
    acceptedTail = ACCEPTED_TAIL(nowMs)
  }
  const length = 1 + varintSize(id) + acceptedTail.length
  const frame = Buffer.allocUnsafe(2 + 1 + varintSize(length) + length)
  let at = putNumber(frame, 0, 1, RESPONSE)
  at = putLength(frame, at, 3, length)
  at = putNumber(frame, at, 1, id)
  frame.set(acceptedTail, at)
  return frame
}

const REQUEST_HEAD = Buffer.concat([bytesField(1, 'PUT'), bytesField(2, '/api/v1/message')])
const DEVICE = 1
const GUID_BYTES = 16
const COMPACT_ID_BYTES = 16
const BYTES_KEY_TWO = 2
const FIELD_SOURCE_ID = [0x9a, 0x01]
const FIELD_DESTINATION_ID = [0xa2, 0x01]
const FIELD_SERVER_GUID = [0xaa, 0x01]

const idBytes = new Map<string, Buffer>()
/** The compact form of an ACI, remembered. */
export function compactId(aci: string): Buffer {
  let bytes = idBytes.get(aci)
  if (!bytes) {
    bytes = Buffer.from(aci.replaceAll('-', ''), 'hex')
    idBytes.set(aci, bytes)
  }
  return bytes
}

const guids = Buffer.alloc(GUID_BYTES * 256)
let guidAt = guids.length
function putGuid(to: Buffer, at: number): number {
  if (guidAt === guids.length) {
    randomFillSync(guids)
    guidAt = 0
  }
  guids.copy(to, at, guidAt, guidAt + GUID_BYTES)
  guidAt += GUID_BYTES
  return at + GUID_BYTES
}

function putId(to: Buffer, at: number, fieldKey: number[], bytes: Buffer): number {
  to[at] = fieldKey[0]!
  to[at + 1] = fieldKey[1]!
  to[at + 2] = COMPACT_ID_BYTES
  to.set(bytes, at + BYTES_KEY_TWO + 1)
  return at + BYTES_KEY_TWO + 1 + COMPACT_ID_BYTES
}

/** An Envelope as the queue keeps it. */
export function encodeEnvelope(submission: Submission, source: string | undefined, nowMs: number): Buffer {
  const { content, timestampMs } = submission
  const ids = (source ? 3 : 2) * (BYTES_KEY_TWO + 1 + COMPACT_ID_BYTES)
  const numbers = 2 + (source ? 2 : 0) + 1 + varintSize(timestampMs) + 1 + varintSize(nowMs)
  const to = Buffer.allocUnsafe(numbers + 1 + varintSize(content.length) + content.length + ids)
  let at = putNumber(to, 0, 1, submission.type)
  at = putNumber(to, at, 5, timestampMs)
  if (source) at = putNumber(to, at, 7, DEVICE)
  at = putLength(to, at, 8, content.length)
  to.set(content, at)
  at = putNumber(to, at + content.length, 10, nowMs)
  if (source) at = putId(to, at, FIELD_SOURCE_ID, compactId(source))
  at = putId(to, at, FIELD_DESTINATION_ID, compactId(submission.destination))
  to[at] = FIELD_SERVER_GUID[0]!
  to[at + 1] = FIELD_SERVER_GUID[1]!
  to[at + 2] = GUID_BYTES
  putGuid(to, at + BYTES_KEY_TWO + 1)
  return to
}

/** The server's own request that carries an envelope to its recipient. */
export function push(id: number, envelope: Uint8Array, nowMs: number): Buffer {
  const header = `X-Signal-Timestamp:${nowMs}`
  const length =
    REQUEST_HEAD.length +
    1 +
    varintSize(envelope.length) +
    envelope.length +
    1 +
    varintSize(id) +
    2 +
    header.length
  const frame = Buffer.allocUnsafe(2 + 1 + varintSize(length) + length)
  let at = putNumber(frame, 0, 1, 1)
  at = putLength(frame, at, 2, length)
  frame.set(REQUEST_HEAD, at)
  at = putLength(frame, at + REQUEST_HEAD.length, 3, envelope.length)
  frame.set(envelope, at)
  at = putNumber(frame, at + envelope.length, 4, id)
  at = putLength(frame, at, 5, header.length)
  frame.write(header, at, 'latin1')
  return frame
}
