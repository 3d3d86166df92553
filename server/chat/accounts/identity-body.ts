import type { Aci } from '../../../wire/types.ts'
import { type Account, hasCapability } from './account.ts'

/** What somebody has paid for, until when. */
export type BackupEntitlement = { readonly backupLevel: number; readonly expirationSeconds: number }
/** Asked of a capability that comes later. */
export type EntitlementOf = (aci: Aci) => Promise<BackupEntitlement | undefined>

/** An account's identities as REST tells them to their owner. `storageOf`: the account whose device may have stored records. */
export const identityBody = async (
  account: Account,
  entitlementOf: EntitlementOf,
  storageOf: Account | undefined = account,
) => ({
  uuid: account.aci,
  number: account.e164 ?? null,
  pni: account.pni ?? null,
  usernameHash: account.usernameHash ?? null,
  usernameLinkHandle: account.usernameLinkHandle ?? null,
  storageCapable: storageOf !== undefined && hasCapability(storageOf, 'storage', 'any'),
  ...(account.authCredentialSalt && { authCredentialSalt: account.authCredentialSalt }),
  entitlements: { badges: [], backup: (await entitlementOf(account.aci)) ?? null },
})
