// Changing the number of an account (docs/protocol/change-number.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { base64, deviceId, MAX_DEVICE_ID, registrationId, text } from '../types.ts'
import { EcSignedPreKey, ecPublicKey, KemSignedPreKey } from './keys.ts'
import { distinctDevices, IncomingMessage } from './messages.ts'
import { AccountIdentity, RegistrationLockFailure } from './registration.ts'

const isDevice = (id: string) => /^[1-9]\d{0,2}$/.test(id) && Number(id) <= MAX_DEVICE_ID
const byDevice = <S extends z.ZodType>(schema: S) =>
  z.record(z.string().refine(isDevice, 'must be a device id'), schema)
const deviceIds = z.array(deviceId)

export const ChangeNumber = z.object({
  sessionId: text(256).nullish(),
  recoveryPassword: base64('unpadded', { max: 32 }).nullish(),
  number: text(64).min(1),
  reglock: text(64).nullish(),
  pniIdentityKey: ecPublicKey,
  deviceMessages: z.array(IncomingMessage).refine(distinctDevices, 'must address distinct devices'),
  devicePniSignedPrekeys: byDevice(EcSignedPreKey),
  devicePniPqLastResortPrekeys: byDevice(KemSignedPreKey),
  pniRegistrationIds: byDevice(registrationId),
})
export type ChangeNumber = z.output<typeof ChangeNumber>

export const changeNumberRoutes = {
  change: route({
    method: 'PUT',
    path: '/v2/accounts/number',
    auth: 'device',
    summary: 'Gives the account another number, or new keys for the one it has',
    limiters: ['registration', 'pin'],
    body: json(ChangeNumber),
    replies: {
      200: json(AccountIdentity),
      400: nothing,
      401: nothing,
      403: nothing,
      409: json(z.object({ missingDevices: deviceIds, extraDevices: deviceIds })),
      410: json(z.object({ staleDevices: deviceIds })),
      413: nothing,
      423: json(RegistrationLockFailure),
    },
  }),
}
