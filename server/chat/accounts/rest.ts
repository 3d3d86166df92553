import { accountsRoutes } from '../../../wire/rest/accounts.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Accounts } from './accounts.ts'
import { attributesOf } from './attributes.ts'
import { type EntitlementOf, identityBody } from './identity-body.ts'

export const accountsRest = (accounts: Accounts, entitlementOf: EntitlementOf): Bound[] =>
  implement(accountsRoutes, {
    async whoami({ caller }) {
      const { account } = await accounts.of(caller)
      return { status: 200, body: await identityBody(account, entitlementOf) }
    },
    async setAttributes({ caller, body, headers }) {
      await accounts.setAttributes(caller, attributesOf(body, headers['x-signal-agent']))
      return { status: 204 }
    },
    async setDiscoverability({ caller, body }) {
      await accounts.setDiscoverableByPhoneNumber(caller, body.discoverableByPhoneNumber)
      return { status: 204 }
    },
    async dataReport({ caller }) {
      return { status: 200, body: await accounts.dataReport(caller) }
    },
    async delete({ caller }) {
      await accounts.deleteBy(caller)
      return { status: 204 }
    },
    async exists({ params, remoteAddress }) {
      return { status: (await accounts.exists(params.serviceId, remoteAddress)) ? 200 : 404 }
    },
  })
