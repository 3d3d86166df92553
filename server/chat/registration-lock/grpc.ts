import type { Accounts as AccountsService } from '../../../wire/gen/account.js'
import type { GrpcHandlers } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { RegistrationLock } from './registration-lock.ts'

const TOKEN_BYTES = 32

export const registrationLockGrpc = (
  lock: RegistrationLock,
): Pick<GrpcHandlers<typeof AccountsService>, 'setRegistrationLock' | 'clearRegistrationLock'> => ({
  async setRegistrationLock({ registrationLock }, { device }) {
    await lock.set(device, tokenOf('registration_lock', registrationLock))
    return {}
  },
  async clearRegistrationLock(_, { device }) {
    await lock.clear(device)
    return {}
  },
})

/** The token as REST writes it: lower-case hex. */
export function tokenOf(field: string, bytes: Uint8Array): string {
  if (bytes.length === TOKEN_BYTES) return Buffer.from(bytes).toString('hex')
  throw new Refusal('invalid', { field, message: 'must be 32 bytes' })
}
