import type { Accounts as AccountsService } from '../../../wire/gen/account.js'
import type { GrpcHandlers } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Recovery } from './recovery.ts'

const PASSWORD_BYTES = 32

export const recoveryGrpc = (
  recovery: Recovery,
): Pick<GrpcHandlers<typeof AccountsService>, 'setRegistrationRecoveryPassword'> => ({
  async setRegistrationRecoveryPassword({ registrationRecoveryPassword: password }, { device }) {
    if (password.length !== PASSWORD_BYTES)
      throw new Refusal('invalid', { field: 'registration_recovery_password', message: 'must be 32 bytes' })
    await recovery.set(device, password)
    return {}
  },
})
