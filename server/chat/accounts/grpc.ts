import type { AccountsAnonymous, Accounts as AccountsService } from '../../../wire/gen/account.js'
import { DeviceCapability } from '../../../wire/gen/common.js'
import { accountsRoutes } from '../../../wire/rest/accounts.ts'
import type { Unidentified } from '../../../wire/route.ts'
import { type Capability, isPni, uuidToBytes } from '../../../wire/types.ts'
import { exactBytes } from '../../kit/grpc-bytes.ts'
import type { GrpcHandlers } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import { capabilitiesOf } from './capability-view.ts'
import { readServiceIdentifier, toServiceIdentifier } from './service-identifier.ts'
import type { UnidentifiedAccess } from './unidentified-access.ts'

export const accountsGrpc = (
  accounts: Accounts,
): Pick<
  GrpcHandlers<typeof AccountsService>,
  | 'getAccountIdentity'
  | 'configureUnidentifiedAccess'
  | 'setDiscoverableByPhoneNumber'
  | 'getAccountDataReport'
  | 'getCapabilities'
  | 'deleteAccount'
> => ({
  async getAccountIdentity(_, { device }) {
    const { account } = await accounts.of(device)
    return { accountIdentifiers: toAccountIdentifiers(account) }
  },
  async configureUnidentifiedAccess(request, { device }) {
    await accounts.setUnidentifiedAccess(device, readAccessKey(request))
    return {}
  },
  async setDiscoverableByPhoneNumber({ discoverableByPhoneNumber }, { device }) {
    await accounts.setDiscoverableByPhoneNumber(device, discoverableByPhoneNumber)
    return {}
  },
  async getAccountDataReport(_, { device }) {
    const report = await accounts.dataReport(device)
    const json = accountsRoutes.dataReport.replies[200].encode(report)
    return { json: Buffer.from(json).toString('utf8'), text: report.text }
  },
  async getCapabilities(_, { device }) {
    const { account } = await accounts.of(device)
    return { capabilities: toCapabilities(capabilitiesOf(account, 'self')) }
  },
  async deleteAccount(_, { device }) {
    await accounts.deleteBy(device)
    return {}
  },
})

export const accountsAnonymousGrpc = (
  accounts: Accounts,
  access: UnidentifiedAccess,
): Pick<GrpcHandlers<typeof AccountsAnonymous>, 'checkAccountExistence' | 'getCapabilities'> => ({
  async checkAccountExistence(request, { remoteAddress }) {
    const id = readServiceIdentifier('service_identifier', request.serviceIdentifier)
    return { accountExists: await accounts.exists(id, remoteAddress) }
  },
  async getCapabilities(request) {
    const id = readServiceIdentifier('account_identifier', request.accountIdentifier)
    const admitted = access.admit(readAuthentication(request, isPni(id)), id, await accounts.find(id))
    if (admitted.kind === 'admitted')
      return { capabilities: toCapabilities(capabilitiesOf(admitted.target, 'everybody')) }
    return admitted.kind === 'refused' ? { failedUnidentifiedAuthorization: {} } : { notFound: {} }
  },
})

/** An account's identities as gRPC tells them to their owner. */
export const toAccountIdentifiers = (account: Account) => ({
  serviceIdentifiers: [account.aci, ...(account.pni ? [account.pni] : [])].map(toServiceIdentifier),
  e164: account.e164,
  usernameHash: account.usernameHash,
  usernameLinkHandle:
    account.usernameLinkHandle === undefined ? undefined : uuidToBytes(account.usernameLinkHandle),
})

const NUMBERS: Readonly<Record<Capability, number>> = {
  storage: DeviceCapability.DEVICE_CAPABILITY_STORAGE,
  transfer: DeviceCapability.DEVICE_CAPABILITY_TRANSFER,
  attachmentBackfill: DeviceCapability.DEVICE_CAPABILITY_ATTACHMENT_BACKFILL,
  spqr: DeviceCapability.DEVICE_CAPABILITY_SPARSE_POST_QUANTUM_RATCHET,
  profiles_v2: DeviceCapability.DEVICE_CAPABILITY_PROFILES_V2,
  usernameChangeSyncMessage: DeviceCapability.DEVICE_CAPABILITY_USERNAME_CHANGE_SYNC_MESSAGE,
  optionalPhoneNumber: DeviceCapability.DEVICE_CAPABILITY_OPTIONAL_PHONE_NUMBER,
}

const toCapabilities = (names: readonly Capability[]) => ({
  capabilities: names.map((name) => NUMBERS[name]),
})

function violated(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}

type Configuration = Parameters<typeof AccountsService.rpcs.configureUnidentifiedAccess.request.encode>[0]

/** The new access key, or nothing where everybody is let in. */
function readAccessKey({ unidentifiedAccessKey, allowUnrestrictedUnidentifiedAccess }: Configuration) {
  if (unidentifiedAccessKey) return exactBytes('unidentified_access_key', unidentifiedAccessKey, 16)
  return allowUnrestrictedUnidentifiedAccess ? undefined : violated('configuration', 'must be present')
}

type Asking = Parameters<typeof AccountsAnonymous.rpcs.getCapabilities.request.encode>[0]

function readAuthentication({ unidentifiedAccessKey, groupSendToken }: Asking, pni: boolean): Unidentified {
  if (pni) violated('account_identifier', 'must be an ACI')
  if (unidentifiedAccessKey)
    return { kind: 'access-key', key: exactBytes('unidentified_access_key', unidentifiedAccessKey, 16) }
  if (groupSendToken) return { kind: 'group-send-token', token: groupSendToken }
  return violated('authentication', 'must be present')
}
