import type { Accounts as AccountsService, ChangeNumberRequest } from '../../../wire/gen/account.js'
import type { EcSignedPreKey } from '../../../wire/gen/common.js'
import { EC_PUBLIC_KEY_BYTES, KEM_PUBLIC_KEY_BYTES } from '../../../wire/limits.ts'
import { type Aci, type DeviceId, MAX_DEVICE_ID, MAX_REGISTRATION_ID } from '../../../wire/types.ts'
import type { GrpcHandlers } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import { toAccountIdentifiers } from '../accounts/grpc.ts'
import { signed } from '../keys/grpc.ts'
import { mismatchedDevices, ownCopies } from '../messages/grpc.ts'
import type { Evidence } from '../recovery/number-proof.ts'
import { tokenOf } from '../registration-lock/grpc.ts'
import type { Changed, ChangeNumber } from './change-number.ts'

export const changeNumberGrpc = (
  changeNumber: ChangeNumber,
): Pick<GrpcHandlers<typeof AccountsService>, 'changeNumber'> => ({
  async changeNumber(request, { device }) {
    const changed = await changeNumber.change(device, {
      ...evidenceOf(request),
      number: request.number,
      registrationLock: lockOf(request.registrationLock),
      pniIdentityKey: request.pniIdentityKey,
      copies: ownCopies(request.deviceMessages),
      signedPreKeys: byDevice(request.devicePniSignedPreKeys, ecKey),
      lastResortKeys: byDevice(request.devicePniPqLastResortPreKeys, kemKey),
      registrationIds: byDevice(request.pniRegistrationIds, registrationId),
    })
    return reply(changed, device.aci)
  },
})

function violated(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}

/** REST writes a session's id as base64url of what gRPC carries. */
function evidenceOf(request: ChangeNumberRequest): Evidence {
  if (request.verification === 'sessionId')
    return { sessionId: Buffer.from(request.sessionId).toString('base64url'), recoveryPassword: undefined }
  if (request.verification === 'recoveryPassword')
    return { sessionId: undefined, recoveryPassword: request.recoveryPassword }
  return { sessionId: undefined, recoveryPassword: undefined }
}

const lockOf = (bytes: Uint8Array): string | undefined =>
  bytes.length === 0 ? undefined : tokenOf('registration_lock', bytes)

function byDevice<T, U>(named: Readonly<Record<string, T>>, read: (value: T) => U): Map<DeviceId, U> {
  const entries = Object.entries(named).map(([id, value]) => [Number(id), read(value)] as const)
  if (entries.some(([id]) => id < 1 || id > MAX_DEVICE_ID)) violated('device_id', 'must be a device id')
  return new Map(entries)
}

const ecKey = (key: EcSignedPreKey) => signed(key, EC_PUBLIC_KEY_BYTES)
const kemKey = (key: EcSignedPreKey) => signed(key, KEM_PUBLIC_KEY_BYTES)
const registrationId = (id: number): number =>
  id >= 1 && id <= MAX_REGISTRATION_ID ? id : violated('pni_registration_ids', 'must be registration ids')

const REFUSED = {
  unverified: { unverifiedRegistrationSession: {} },
  'foreign-session': { invalidRegistrationSession: {} },
  'recovery-refused': { recoveryPasswordVerificationFailed: {} },
  'too-large': { messageTooLarge: {} },
} as const

function reply(changed: Changed, aci: Aci) {
  if (changed.kind === 'changed') return { accountIdentifiers: toAccountIdentifiers(changed.account) }
  if (changed.kind === 'locked')
    return {
      registrationLockFailure: {
        timeRemainingMillis: changed.timeRemainingMs,
        svr2Credentials: changed.svr2,
      },
    }
  if (changed.kind !== 'mismatched') return REFUSED[changed.kind]
  if (changed.stale.length > 0) return { staleDevices: { staleDevices: changed.stale } }
  return { mismatchedDevices: mismatchedDevices(changed, aci) }
}
