// One sealed message to many accounts, as libsignal writes it (signal-api §3.4): what each device gets of it.
import SealedSenderMultiRecipientMessage from '@signalapp/libsignal-client/dist/SealedSenderMultiRecipientMessage.js'
import type { ServiceId } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Addressed } from './mismatch.ts'

export type Recipient = {
  readonly id: ServiceId
  readonly devices: readonly Addressed[]
  /** What the content of this recipient's copies begins with. */
  readonly own: Uint8Array
}

export type MultiRecipient = {
  /** At least one, each with a device or more. */
  readonly recipients: readonly Recipient[]
  /** Who belongs to the group and does not get the message. */
  readonly excluded: readonly ServiceId[]
  /** What the content of every copy ends with. */
  readonly shared: Uint8Array
}

/** The first byte of what a recipient gets: a sealed message of the second version. */
const SEALED_VERSION = Buffer.of(0x22)

/** Refuses (400) what is not such a message, goes to nobody, or names a device twice. */
export function parseMultiRecipient(payload: Uint8Array): MultiRecipient {
  const bytes = new Uint8Array(payload)
  const message = parsed(bytes)
  const recipients = Object.entries(message._recipientMap).map(([id, recipient]): Recipient => {
    const { deviceIds, registrationIds, rangeOffset, rangeLen } = recipient
    if (new Set(deviceIds).size !== deviceIds.length) refuse('must name a device once')
    return {
      id: id as ServiceId,
      devices: deviceIds.map((deviceId, at) => ({ deviceId, registrationId: registrationIds[at]! })),
      own: Buffer.concat([SEALED_VERSION, bytes.subarray(rangeOffset, rangeOffset + rangeLen)]),
    }
  })
  if (recipients.length === 0) refuse('must have a recipient')
  const excluded = message.excludedRecipientServiceIdStrings() as readonly ServiceId[]
  return { recipients, excluded, shared: bytes.subarray(message._offsetOfSharedData) }
}

function parsed(bytes: Uint8Array<ArrayBuffer>): SealedSenderMultiRecipientMessage {
  try {
    return new SealedSenderMultiRecipientMessage(bytes)
  } catch {
    return refuse('must be a multi-recipient message')
  }
}

function refuse(message: string): never {
  throw new Refusal('bad-request', { field: 'payload', message })
}
