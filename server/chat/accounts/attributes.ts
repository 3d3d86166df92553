import type { AccountAttributes } from '../../../wire/rest/registration.ts'
import type { Attributes } from './accounts.ts'

/** The attributes as rules see them; what a client left out takes Signal's default. */
export function attributesOf(
  wire: Omit<AccountAttributes, 'registrationId'>,
  agent: string | undefined,
): Attributes {
  const { unidentifiedAccessKey: key, recoveryPassword: password } = wire
  return {
    fetchesMessages: wire.fetchesMessages ?? false,
    name: wire.name ?? undefined,
    capabilities: wire.capabilities ?? new Set(),
    userAgent: agent,
    unidentifiedAccessKey: key && key.length > 0 ? key : undefined,
    unrestrictedUnidentifiedAccess: wire.unrestrictedUnidentifiedAccess ?? false,
    discoverableByPhoneNumber: wire.discoverableByPhoneNumber ?? true,
    registrationLock: wire.registrationLock || undefined,
    recoveryPassword: password && password.length > 0 ? password : undefined,
  }
}
