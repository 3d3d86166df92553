// A message as `PUT /v1/messages` takes it: the server never looks into its content.
import type { Registered } from './register.ts'

/** One copy for a device of an account, with content of `bytes` bytes. */
export const copyFor = ({ deviceId, keys }: Registered, bytes = 8) => ({
  type: 1,
  destinationDeviceId: deviceId,
  destinationRegistrationId: keys.aci.registrationId,
  content: Buffer.alloc(bytes, 7).toString('base64'),
})

export const messageFor = (recipients: Registered | readonly Registered[], more: object = {}) => ({
  messages: [recipients].flat().map((recipient) => copyFor(recipient)),
  timestamp: Date.now(),
  ...more,
})
