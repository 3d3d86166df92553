import type { Device } from '../accounts/account.ts'

/** A device as REST tells of it to its account. */
export const deviceBody = (device: Device) => ({
  id: device.id,
  name: device.name ?? null,
  lastSeen: device.lastSeenMs,
  registrationId: device.registrationId,
  createdAtCiphertext: device.createdAtCiphertext ?? null,
})
