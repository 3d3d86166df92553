// A sealed message to many (signal-api §3.4), byte for byte what a test says; nobody could open it.
import { randomBytes } from 'node:crypto'
import { type ServiceId, serviceIdToBytes } from '../wire/types.ts'

export type MessageRecipient = {
  readonly id: ServiceId
  /** Device and registration id. Nobody: the recipient is excluded. */
  readonly devices: readonly (readonly [number, number])[]
}

const MORE = 0x8000

/** 17 bytes: 0x00 or 0x01, and the UUID. */
const fixedWidth = (id: ServiceId) => serviceIdToBytes(id).toString('hex').padStart(34, '0')

function varint(value: number): Buffer {
  return value < 0x80
    ? Buffer.of(value)
    : Buffer.concat([Buffer.of((value & 0x7f) | 0x80), varint(value >> 7)])
}

function recipientBytes({ id, devices }: MessageRecipient): Buffer {
  const head = Buffer.from(fixedWidth(id), 'hex')
  if (devices.length === 0) return Buffer.concat([head, Buffer.of(0)])
  const listed = devices.map(([deviceId, registrationId], index) => {
    const bytes = Buffer.of(deviceId, 0, 0)
    bytes.writeUInt16BE(registrationId | (index + 1 < devices.length ? MORE : 0), 1)
    return bytes
  })
  return Buffer.concat([head, ...listed, randomBytes(32 + 16)])
}

/** `contentBytes`: the length of what each device gets, at least 81. */
export function multiRecipientMessage(
  recipients: readonly MessageRecipient[],
  contentBytes = 200,
): Uint8Array<ArrayBuffer> {
  const shared = randomBytes(contentBytes - 1 - 32 - 16)
  const parts = [Buffer.of(0x23), varint(recipients.length), ...recipients.map(recipientBytes), shared]
  return new Uint8Array(Buffer.concat(parts))
}
