import type { AccountsAnonymous, Accounts as AccountsService } from '../../../wire/gen/account.js'
import { uuidToBytes } from '../../../wire/types.ts'
import type { GrpcHandlers } from '../../kit/grpc-service.ts'
import type { Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import { readServiceIdentifier, toServiceIdentifier } from './service-identifier.ts'

export const accountsGrpc = (
  accounts: Accounts,
): Pick<GrpcHandlers<typeof AccountsService>, 'getAccountIdentity' | 'getEntitlements'> => ({
  async getAccountIdentity(_, { device }) {
    const { account } = await accounts.of(device)
    return { accountIdentifiers: toAccountIdentifiers(account) }
  },
  async getEntitlements(_, { device }) {
    await accounts.of(device)
    return {}
  },
})

export const accountsAnonymousGrpc = (
  accounts: Accounts,
): Pick<GrpcHandlers<typeof AccountsAnonymous>, 'checkAccountExistence'> => ({
  async checkAccountExistence(request, { remoteAddress }) {
    const id = readServiceIdentifier('service_identifier', request.serviceIdentifier)
    return { accountExists: await accounts.exists(id, remoteAddress) }
  },
})

/** An account's identities as gRPC tells them to their owner. */
export const toAccountIdentifiers = (account: Account) => ({
  serviceIdentifiers: [toServiceIdentifier(account.aci), toServiceIdentifier(account.pni)],
  e164: account.e164,
  usernameHash: account.usernameHash,
  usernameLinkHandle:
    account.usernameLinkHandle === undefined ? undefined : uuidToBytes(account.usernameLinkHandle),
})
