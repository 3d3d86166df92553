import { type Accounts as AccountsService, MfaKeyType } from '../../../wire/gen/account.js'
import type { GrpcHandlers } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import { ALGORITHM, DIGITS, STEP_S } from './one-time-password.ts'
import type { TotpKey } from './store.ts'
import type { Totp } from './totp.ts'

const METADATA_BYTES = 160

type Rpcs =
  | 'generateTotpKey'
  | 'confirmTotpKey'
  | 'listTotpKeys'
  | 'setTotpKeyMetadata'
  | 'removeTotpKey'
  | 'listMfaKeys'
  | 'setMfaKeyMetadata'
  | 'removeMfaKey'
  | 'startMfaVerification'
  | 'finishMfaVerification'

export const totpGrpc = (totp: Totp): Pick<GrpcHandlers<typeof AccountsService>, Rpcs> => {
  const describe: GrpcHandlers<typeof AccountsService>['setMfaKeyMetadata'] = async (request, { device }) => {
    const described = await totp.describe(device, request.keyId, metadataOf(request.metadataCiphertext))
    return described ? { metadataUpdated: {} } : { keyNotFound: {} }
  }
  const remove: GrpcHandlers<typeof AccountsService>['removeMfaKey'] = async ({ keyId }, { device }) => {
    await totp.remove(device, keyId)
    return {}
  }
  return {
    async generateTotpKey(_, { device }) {
      const key = await totp.generate(device)
      return key ? { keyGenerated: { key, totpParameters: PARAMETERS } } : { tooManyTotpKeys: {} }
    },
    async confirmTotpKey(request, { device }) {
      const metadata = metadataOf(request.metadataCiphertext)
      const keyId = await totp.confirm(device, request.oneTimePassword, metadata)
      return keyId === undefined ? { oneTimePasswordNotVerified: {} } : { keyConfirmed: { keyId } }
    },
    async listTotpKeys(_, { device }) {
      const described = (key: TotpKey) => ({ metadataCiphertext: key.metadata, totpParameters: PARAMETERS })
      return { keys: byId(await totp.list(device), described) }
    },
    setTotpKeyMetadata: describe,
    removeTotpKey: remove,
    async listMfaKeys(_, { device }) {
      const described = (key: TotpKey) => ({
        metadataCiphertext: key.metadata,
        type: MfaKeyType.MFA_KEY_TYPE_TOTP,
      })
      return { keys: byId(await totp.list(device), described) }
    },
    setMfaKeyMetadata: describe,
    removeMfaKey: remove,
    async startMfaVerification(_, { device }) {
      return { hasTotp: (await totp.list(device)).length > 0 }
    },
    async finishMfaVerification(request, { device }) {
      return { success: await totp.verify(device, passwordOf(request)) }
    },
  }
}

const PARAMETERS = { algorithm: ALGORITHM, passwordLength: DIGITS, timeStepSeconds: STEP_S }

const byId = <T>(keys: readonly TotpKey[], described: (key: TotpKey) => T): Record<number, T> =>
  Object.fromEntries(keys.map((key) => [key.id, described(key)]))

function metadataOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length === METADATA_BYTES) return bytes
  throw new Refusal('invalid', { field: 'metadata_ciphertext', message: 'must be 160 bytes' })
}

/** There are no keys of another kind, so no proof of one. */
function passwordOf(request: { credential: string | undefined; oneTimePassword?: number | null }): number {
  if (request.credential === 'oneTimePassword') return request.oneTimePassword!
  throw new Refusal('invalid', { field: 'credential', message: 'must be a one-time password' })
}
