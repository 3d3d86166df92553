// The envelope around a message, as clients get it: with binary ids for today's, and text ids for older ones.
// Written by hand, as every message needs one; wire/proto/envelope.proto has the fields, envelope.test.ts compares.
import { Envelope } from '../../../wire/gen/envelope.js'
import {
  compact,
  type DeviceId,
  type ServiceId,
  serviceIdFromBytes,
  serviceIdToBytes,
  uuidFromBytes,
} from '../../../wire/types.ts'
import { writeVarint } from '../../../wire/websocket.ts'

export const DELIVERY_RECEIPT = 5
export const GUID_BYTES = 16

/** Whoever sends: an account's identity and one of its devices. */
export type Source = { readonly id: ServiceId; readonly deviceId: DeviceId }

/** A message on its way to one device. */
export type Outgoing = {
  readonly type: number
  readonly source: Source | undefined
  readonly destination: ServiceId
  readonly clientTimestampMs: number
  readonly serverTimestampMs: number
  readonly urgent: boolean
  readonly story: boolean
  readonly content: Uint8Array | undefined
}

/** What matters of an envelope when a device acknowledges it. */
export type Acknowledgeable = Pick<Outgoing, 'type' | 'clientTimestampMs' | 'story'> & {
  readonly source: Pick<Source, 'id'> | undefined
  readonly destination: ServiceId | undefined
}

// Keys of the fields (number, wire type), the two-byte ones as they stand on the wire.
const TYPE = 0x08
const CLIENT_TIMESTAMP = 0x28
const SOURCE_DEVICE = 0x38
const CONTENT = 0x42
const SERVER_GUID_TEXT = 0x4a
const SERVER_TIMESTAMP = 0x50
const SOURCE_ID_TEXT = 0x5a
const DESTINATION_ID_TEXT = 0x6a
const URGENT = 0x70
const STORY = Buffer.of(0x80, 0x01, 0x01)
const SOURCE_ID = Buffer.of(0x9a, 0x01)
const DESTINATION_ID = Buffer.of(0xa2, 0x01)
const SERVER_GUID = Buffer.of(0xaa, 0x01)

const UUID_TEXT_BYTES = 36
/** More than all fields but the ids and the content can take. */
const FIXED_BYTES = 128
/** A key and the length of a content. */
const MAX_NUMBER_BYTES = 6

/** An id's fields, as destination and as source: every message names one or two, so they are made once. */
type IdFields = { readonly destination: Uint8Array; readonly source: Uint8Array }
const MAX_REMEMBERED = 10_000
const remembered = new Map<ServiceId, IdFields>()

function fieldsOf(id: ServiceId): IdFields {
  const known = remembered.get(id)
  if (known) return known
  if (remembered.size >= MAX_REMEMBERED) remembered.clear()
  const bytes = serviceIdToBytes(id)
  const fields = (textKey: number, key: Buffer) =>
    compact(
      Buffer.concat([Buffer.of(textKey, id.length), Buffer.from(id), key, Buffer.of(bytes.length), bytes]),
    )
  const made = {
    destination: fields(DESTINATION_ID_TEXT, DESTINATION_ID),
    source: fields(SOURCE_ID_TEXT, SOURCE_ID),
  }
  remembered.set(id, made)
  return made
}

function putNumber(target: Buffer, at: number, key: number, value: number): number {
  target[at] = key
  return writeVarint(target, at + 1, value)
}

function putBytes(target: Buffer, at: number, bytes: Uint8Array): number {
  target.set(bytes, at)
  return at + bytes.length
}

function putGuid(target: Buffer, at: number, guid: Buffer): number {
  target[at] = SERVER_GUID_TEXT
  target[at + 1] = UUID_TEXT_BYTES
  target.write(uuidFromBytes(guid), at + 2, 'latin1')
  const position = putBytes(target, at + 2 + UUID_TEXT_BYTES, SERVER_GUID)
  target[position] = GUID_BYTES
  return putBytes(target, position + 1, guid)
}

/** `guid`: 16 random bytes, this copy's own. */
export function encodeEnvelope(message: Outgoing, guid: Buffer): Uint8Array {
  const { content, source } = message
  const destination = fieldsOf(message.destination).destination
  const from = source && fieldsOf(source.id).source
  const size = FIXED_BYTES + destination.length + (from?.length ?? 0) + (content?.length ?? 0)
  const target = Buffer.allocUnsafe(size)
  let at = putNumber(target, 0, TYPE, message.type)
  at = putNumber(target, at, CLIENT_TIMESTAMP, message.clientTimestampMs)
  if (source) at = putNumber(target, at, SOURCE_DEVICE, source.deviceId)
  if (content) at = putBytes(target, putNumber(target, at, CONTENT, content.length), content)
  at = putNumber(target, at, SERVER_TIMESTAMP, message.serverTimestampMs)
  at = putNumber(target, at, URGENT, message.urgent ? 1 : 0)
  if (message.story) at = putBytes(target, at, STORY)
  if (from) at = putBytes(target, at, from)
  at = putBytes(target, at, destination)
  return target.subarray(0, putGuid(target, at, guid))
}

export type { Envelope }

/** All of an envelope, as a door passes it on. */
export const openEnvelope = (bytes: Uint8Array): Envelope => Envelope.decode(bytes)

/**
 * An envelope without its end: its content, which stands last, begins with `own`, and `sharedBytes` bytes that others
 * have too must follow.
 */
export function encodeHead(
  message: Outgoing,
  guid: Buffer,
  own: Uint8Array,
  sharedBytes: number,
): Uint8Array {
  const fields = encodeEnvelope(message, guid)
  const head = Buffer.allocUnsafe(fields.length + MAX_NUMBER_BYTES + own.length)
  const at = putNumber(head, putBytes(head, 0, fields), CONTENT, own.length + sharedBytes)
  return head.subarray(0, putBytes(head, at, own))
}

export function readEnvelope(bytes: Uint8Array): Acknowledgeable {
  const envelope = Envelope.decode(bytes)
  const source = idOf(envelope.sourceServiceId)
  return {
    type: envelope.type,
    source: source && { id: source },
    destination: idOf(envelope.destinationServiceId),
    clientTimestampMs: envelope.clientTimestamp,
    story: envelope.story,
  }
}

const idOf = (bytes: Uint8Array): ServiceId | undefined =>
  bytes.length > 0 ? serviceIdFromBytes(bytes) : undefined
