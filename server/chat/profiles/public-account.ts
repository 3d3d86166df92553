// What an account shows to whoever may reach it, profile key or not.
import { type Capability, isPni, type ServiceId } from '../../../wire/types.ts'
import { type Account, hasCapability, identityKeyOf, identityOf } from '../accounts/account.ts'
import { accessKeyFingerprint } from '../accounts/unidentified-access.ts'

/** Every capability that is not the server's alone: profiles of the first kind do not tell self from others. */
const SHOWN = [
  ['attachmentBackfill', 'primary'],
  ['spqr', 'all'],
  ['profiles_v2', 'all'],
  ['usernameChangeSyncMessage', 'all'],
] as const satisfies readonly (readonly [Capability, Parameters<typeof hasCapability>[2]])[]

export type PublicAccount = {
  readonly identityKey: Uint8Array
  readonly accessKeyFingerprint: Uint8Array | undefined
  readonly unrestrictedUnidentifiedAccess: boolean
  readonly capabilities: readonly (readonly [Capability, boolean])[]
}

/** Under the identity by which it was reached: a phone number's says nothing of unidentified access. */
export const publicAccount = (account: Account, id: ServiceId): PublicAccount => ({
  identityKey: identityKeyOf(account, identityOf(id)),
  accessKeyFingerprint: isPni(id) ? undefined : accessKeyFingerprint(account),
  unrestrictedUnidentifiedAccess: !isPni(id) && account.unrestrictedUnidentifiedAccess,
  capabilities: SHOWN.map(([name, of]) => [name, hasCapability(account, name, of)]),
})
