// Signal's frames as a client sees them: sends from templates that are patched, pushes read and answered.
import type { Account, Mode } from '../job.ts'
import { bytesField, Fields, numberField, putVarint, varintSize } from '../protobuf.ts'
import { FRESH_MARK, markAsBase64, readMark } from './mark.ts'
import { frame, masked, payloadStart } from './websocket.ts'

const REQUEST = 1
const RESPONSE = 2
/** Request ids of four bytes, so that a template never changes its length. */
const FIRST_ID = 2 ** 21
const TIMESTAMP_DIGITS = 13
const ENVELOPE_TYPE = { identified: 1, sealed: 6 } as const
const MESSAGE_PATH_LENGTH = '/api/v1/message'.length
const RECEIPT = 5

/** Makes the masked frames of one sender's `PUT /v1/messages/{aci}` as libsignal writes it. */
export class SendTemplate {
  private readonly bytes: Buffer
  private readonly payload: number
  private readonly markAt: number
  private readonly timestampAt: number
  private readonly idAt: number

  constructor(recipient: Account, mode: Mode, content: Buffer) {
    const body = sendBody(recipient, ENVELOPE_TYPE[mode], content)
    const headers = [bytesField(5, 'content-type: application/json')]
    if (mode === 'sealed') headers.push(bytesField(5, `unidentified-access-key: ${recipient.accessKey}`))
    const id = numberField(4, FIRST_ID)
    const request = Buffer.concat([
      bytesField(1, 'PUT'),
      bytesField(2, `/v1/messages/${recipient.aci}`),
      bytesField(3, body),
      id,
      ...headers,
    ])
    const message = Buffer.concat([numberField(1, REQUEST), bytesField(2, request)])
    const bodyAt = message.indexOf(body)
    this.markAt = bodyAt + body.indexOf(FRESH_MARK)
    this.timestampAt = bodyAt + body.indexOf('"timestamp":') + '"timestamp":'.length
    this.idAt = bodyAt + body.length + 1
    this.bytes = frame(message)
    this.payload = payloadStart(message.length)
  }

  /** The frame of message number `sequence` of sender number `sender`. */
  fill(sender: number, sequence: number, timestampMs: number): Buffer {
    const bytes = Buffer.from(this.bytes)
    const put = (index: number, byte: number) => {
      bytes[this.payload + index] = masked(byte, index)
    }
    markAsBase64(sender, sequence, (offset, byte) => put(this.markAt + offset, byte))
    let rest = timestampMs
    for (let index = TIMESTAMP_DIGITS - 1; index >= 0; index--) {
      put(this.timestampAt + index, 0x30 + (rest % 10))
      rest = Math.floor(rest / 10)
    }
    putVarint(scratch, 0, FIRST_ID + sequence)
    for (let index = 0; index < 4; index++) put(this.idAt + index, scratch[index]!)
    return bytes
  }
}
const scratch = new Uint8Array(10)

function sendBody({ registrationId }: Account, type: number, content: Buffer): Buffer {
  const base64 = FRESH_MARK + content.toString('base64').slice(FRESH_MARK.length)
  const message = `{"type":${type},"destinationDeviceId":1,"destinationRegistrationId":${registrationId},"content":"${base64}"}`
  return Buffer.from(`{"messages":[${message}],"online":false,"urgent":true,"timestamp":1000000000000}`)
}

export type Incoming = {
  accepted(sequence: number, status: number): void
  message(sender: number, sequence: number): void
  receipt(): void
}

const outer = new Fields(new Uint8Array())
const inner = new Fields(new Uint8Array())
const envelope = new Fields(new Uint8Array())

/** Reads one frame from the server; what is to be answered, comes back as the answer's frame. */
export function readFrame(payload: Buffer, incoming: Incoming): Buffer | undefined {
  outer.over(payload, 0, payload.length)
  let answer: Buffer | undefined
  while (outer.next()) {
    if (outer.field === REQUEST + 1) answer = readPush(payload, outer.start, outer.end, incoming)
    else if (outer.field === RESPONSE + 1) readResponse(payload, outer.start, outer.end, incoming)
  }
  return answer
}

function readResponse(payload: Buffer, start: number, end: number, incoming: Incoming): void {
  let id = 0
  let status = 0
  inner.over(payload, start, end)
  while (inner.next()) {
    if (inner.field === 1) id = inner.number
    else if (inner.field === 2) status = inner.number
  }
  incoming.accepted(id - FIRST_ID, status)
}

function readPush(payload: Buffer, start: number, end: number, incoming: Incoming): Buffer | undefined {
  let [idStart, idEnd, bodyStart, bodyEnd, pathLength] = [0, 0, 0, 0, 0]
  inner.over(payload, start, end)
  while (inner.next()) {
    if (inner.field === 2) pathLength = inner.end - inner.start
    else if (inner.field === 3) [bodyStart, bodyEnd] = [inner.start, inner.end]
    else if (inner.field === 4) [idStart, idEnd] = [inner.start, inner.end]
  }
  // libsignal never answers /api/v1/queue/empty.
  if (pathLength !== MESSAGE_PATH_LENGTH) return undefined
  readEnvelope(payload, bodyStart, bodyEnd, incoming)
  return received(payload.subarray(idStart, idEnd))
}

function readEnvelope(payload: Buffer, start: number, end: number, incoming: Incoming): void {
  let type = 0
  let content = 0
  envelope.over(payload, start, end)
  while (envelope.next()) {
    if (envelope.field === 1) type = envelope.number
    else if (envelope.field === 8) content = envelope.start
  }
  if (type === RECEIPT) {
    incoming.receipt()
  } else {
    const { sender, sequence } = readMark(payload, content)
    incoming.message(sender, sequence)
  }
}

const OK_200 = Buffer.concat([numberField(2, 200), bytesField(3, 'OK')])

/** The answer to a push, whose id comes back as the bytes in which it came. */
function received(id: Uint8Array): Buffer {
  const length = 1 + id.length + OK_200.length
  const message = Buffer.allocUnsafe(3 + varintSize(length) + length)
  message[0] = 0x08
  message[1] = RESPONSE
  message[2] = 0x1a
  let at = putVarint(message, 3, length)
  message[at++] = 0x08
  message.set(id, at)
  message.set(OK_200, at + id.length)
  return frame(message)
}
