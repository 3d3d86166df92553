import { registrationRoutes } from '../../../wire/rest/registration.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { type EntitlementOf, identityBody } from '../accounts/identity-body.ts'
import { lockedBody } from '../registration-lock/rest.ts'
import type { Registration } from './registration.ts'

const REFUSED = {
  'foreign-session': 400,
  unverified: 401,
  'recovery-refused': 403,
  'transfer-possible': 409,
  'totp-needed': 441,
  'capability-missing': 499,
  closed: 403,
} as const

export const registrationRest = (registration: Registration, entitlementOf: EntitlementOf): Bound[] =>
  implement(registrationRoutes, {
    async register({ caller, body, headers }) {
      const registered = await registration.register(caller, body, headers['x-signal-agent'])
      if (registered.kind === 'locked') return { status: 423, body: lockedBody(registered) }
      if (registered.kind !== 'registered') return { status: REFUSED[registered.kind] }
      const { account, previous } = registered
      return {
        status: 200,
        body: {
          ...(await identityBody(account, entitlementOf, previous)),
          reregistration: previous !== undefined,
        },
      }
    },
  })
