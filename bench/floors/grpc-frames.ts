// The gRPC form of a send: SendAuthenticatedSenderMessageRequest and SendSealedSenderMessageRequest.
import { bytesField, Fields } from '../protobuf.ts'
import type { Submission } from './signal-frames.ts'

/** Envelope types by SendMessageType: double ratchet, pre-key, plaintext, sealed. */
const ENVELOPE_TYPES = [0, 1, 3, 8, 6]

/** SendMessageResponse{success: Empty} */
export const SUCCESS = bytesField(1, '')

type Bundle = { timestampMs: number; type: number; content: Uint8Array }

export function readSend(message: Buffer): Submission {
  let destination = ''
  let bundle: Bundle = { timestampMs: 0, type: 0, content: new Uint8Array() }
  const fields = new Fields(message)
  while (fields.next()) {
    if (fields.field === 1) destination = readDestination(message, fields.start, fields.end)
    else if (fields.field === 4) bundle = readBundle(message, fields.start, fields.end)
  }
  return { destination, ...bundle }
}

function readDestination(message: Buffer, start: number, end: number): string {
  const fields = new Fields(message, start, end)
  while (fields.next())
    if (fields.field === 2) return uuidText(message.toString('hex', fields.start, fields.end))
  return ''
}

const uuidText = (hex: string) =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`

function readBundle(message: Buffer, start: number, end: number) {
  const bundle: Bundle = { timestampMs: 0, type: 0, content: new Uint8Array() }
  const fields = new Fields(message, start, end)
  while (fields.next()) {
    if (fields.field === 1) bundle.timestampMs = fields.number
    else if (fields.field === 2) Object.assign(bundle, readEntry(message, fields.start, fields.end))
  }
  return bundle
}

/** One entry of map<uint32, Message>. */
function readEntry(message: Buffer, start: number, end: number) {
  const entry: { type: number; content: Uint8Array } = { type: 0, content: new Uint8Array() }
  const map = new Fields(message, start, end)
  while (map.next()) {
    if (map.field !== 2) continue
    const fields = new Fields(message, map.start, map.end)
    while (fields.next()) {
      if (fields.field === 2) entry.content = message.subarray(fields.start, fields.end)
      else if (fields.field === 3) entry.type = ENVELOPE_TYPES[fields.number] ?? 0
    }
  }
  return entry
}
