// What an account shows to whoever may reach it, profile key or not.
import { isPni, type ServiceId } from '../../../wire/types.ts'
import { type Account, identityKeyOf, identityOf } from '../accounts/account.ts'
import { capabilityFlags } from '../accounts/capability-view.ts'
import { accessKeyFingerprint } from '../accounts/unidentified-access.ts'

export type PublicAccount = {
  readonly identityKey: Uint8Array
  readonly accessKeyFingerprint: Uint8Array | undefined
  readonly unrestrictedUnidentifiedAccess: boolean
  readonly capabilities: Readonly<Record<string, boolean>>
}

/** Under the identity by which it was reached: a phone number's says nothing of unidentified access. */
export const publicAccount = (account: Account, id: ServiceId): PublicAccount => ({
  identityKey: identityKeyOf(account, identityOf(id)),
  accessKeyFingerprint: isPni(id) ? undefined : accessKeyFingerprint(account),
  unrestrictedUnidentifiedAccess: !isPni(id) && account.unrestrictedUnidentifiedAccess,
  capabilities: capabilityFlags(account),
})
