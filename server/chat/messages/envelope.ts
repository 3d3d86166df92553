// The envelope around a message, as clients get it: with binary ids for today's, and text ids for older ones.
import { Envelope } from '../../../wire/gen/envelope.js'
import {
  type DeviceId,
  type ServiceId,
  serviceIdFromBytes,
  serviceIdToBytes,
  uuidFromBytes,
} from '../../../wire/types.ts'

export const DELIVERY_RECEIPT = 5

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

const MAX_REMEMBERED = 10_000
const remembered = new Map<ServiceId, Buffer>()

/** Every message names one id or two; their bytes are made once. */
function bytesOf(id: ServiceId): Buffer {
  const known = remembered.get(id)
  if (known) return known
  if (remembered.size >= MAX_REMEMBERED) remembered.clear()
  const bytes = serviceIdToBytes(id)
  remembered.set(id, bytes)
  return bytes
}

/** `guid`: 16 random bytes, this copy's own. */
export const encodeEnvelope = (message: Outgoing, guid: Buffer): Uint8Array =>
  Envelope.encode({
    type: message.type,
    sourceDevice: message.source?.deviceId,
    clientTimestamp: message.clientTimestampMs,
    content: message.content,
    serverTimestamp: message.serverTimestampMs,
    urgent: message.urgent,
    story: message.story ? true : undefined,
    sourceServiceId: message.source && bytesOf(message.source.id),
    destinationServiceId: bytesOf(message.destination),
    serverGuid: guid,
    serverGuidText: uuidFromBytes(guid),
    sourceServiceIdText: message.source?.id,
    destinationServiceIdText: message.destination,
  }).finish()

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
