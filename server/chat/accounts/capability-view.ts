// Which capabilities of its devices an account has as a whole, and who is told.
import type { Capability } from '../../../wire/types.ts'
import { type Account, hasCapability } from './account.ts'

type View = { readonly of: 'any' | 'primary' | 'all'; readonly shownTo: 'server' | 'self' | 'everybody' }

const VIEWS: Readonly<Record<Capability, View>> = {
  storage: { of: 'any', shownTo: 'server' },
  transfer: { of: 'primary', shownTo: 'server' },
  attachmentBackfill: { of: 'primary', shownTo: 'self' },
  spqr: { of: 'all', shownTo: 'everybody' },
  profiles_v2: { of: 'all', shownTo: 'self' },
  usernameChangeSyncMessage: { of: 'all', shownTo: 'self' },
  optionalPhoneNumber: { of: 'all', shownTo: 'server' },
}

/** What the account's own devices, or everybody who may reach it, are told that it can do. */
export const capabilitiesOf = (account: Account, shownTo: 'self' | 'everybody'): Capability[] =>
  (Object.keys(VIEWS) as Capability[]).filter((capability) => {
    const view = VIEWS[capability]
    const shown = view.shownTo === 'everybody' || view.shownTo === shownTo
    return shown && hasCapability(account, capability, view.of)
  })

/** Whether it has each of those that are not the server's alone: profiles do not tell self from others. */
export const capabilityFlags = (account: Account): Readonly<Record<string, boolean>> =>
  Object.fromEntries(
    (Object.keys(VIEWS) as Capability[])
      .filter((capability) => VIEWS[capability].shownTo !== 'server')
      .map((capability) => [capability, hasCapability(account, capability, VIEWS[capability].of)]),
  )
