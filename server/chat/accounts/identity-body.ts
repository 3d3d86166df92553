import { type Account, hasCapability } from './account.ts'

/** An account's identities as REST tells them to their owner. `storageOf`: the account whose device may have stored records. */
export const identityBody = (account: Account, storageOf: Account | undefined = account) => ({
  uuid: account.aci,
  number: account.e164,
  pni: account.pni,
  usernameHash: account.usernameHash ?? null,
  usernameLinkHandle: account.usernameLinkHandle ?? null,
  storageCapable: storageOf !== undefined && hasCapability(storageOf, 'storage', 'any'),
  entitlements: { badges: [], backup: null },
})
