// When a device was made, so that only the account's own devices can read it (signal-api §2.8).
import { PublicKey } from '@signalapp/libsignal-client'
import type { Device } from './account.ts'

const INFO = 'deviceCreatedAt'

/**
 * HPKE to the account's ACI identity key: 8 bytes of milliseconds, bound to the device's id (1 byte) and its
 * registration id (4 bytes), all big-endian.
 */
export function sealCreation(
  aciIdentityKey: Uint8Array,
  { id, registrationId, createdAtMs }: Pick<Device, 'id' | 'registrationId' | 'createdAtMs'>,
): Uint8Array {
  const createdAt = Buffer.alloc(8)
  createdAt.writeBigUInt64BE(BigInt(createdAtMs))
  const device = Buffer.alloc(5)
  device.writeUInt8(id)
  device.writeUInt32BE(registrationId, 1)
  const key = PublicKey.deserialize(new Uint8Array(aciIdentityKey))
  return key.seal(new Uint8Array(createdAt), INFO, new Uint8Array(device))
}
