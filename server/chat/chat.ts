// Signal-Server: the doors to its capabilities. capabilities.ts puts them together.

import { join } from 'node:path'
import { AccountsAnonymous, Accounts as AccountsService } from '../../wire/gen/account.js'
import { KeysAnonymous } from '../../wire/gen/keys.js'
import type { Bound } from '../../wire/route.ts'
import type { Aci } from '../../wire/types.ts'
import type { ControlCall } from '../kit/control.ts'
import { type GrpcMethod, implementService } from '../kit/grpc-service.ts'
import { Limits } from '../kit/limits.ts'
import type { Authenticate, RefusesClient } from '../kit/router.ts'
import { migrate } from '../kit/sql/migrate.ts'
import type { Admit } from '../kit/websocket.ts'
import type { Accounts } from './accounts/accounts.ts'
import { accountsAnonymousGrpc, accountsGrpc } from './accounts/grpc.ts'
import { accountsRest } from './accounts/rest.ts'
import { admissionControl } from './admission/control.ts'
import { attachmentsGrpc } from './attachments/grpc.ts'
import { attachmentsRest } from './attachments/rest.ts'
import { backupsGrpc, entitlementsGrpc } from './backups/grpc.ts'
import { backupsRest } from './backups/rest.ts'
import { callingGrpc } from './calling/grpc.ts'
import { callingRest } from './calling/rest.ts'
import { type CapabilitiesOptions, openCapabilities } from './capabilities.ts'
import { challengesGrpc } from './challenges/grpc.ts'
import { challengesRest } from './challenges/rest.ts'
import { changeNumberGrpc } from './change-number/grpc.ts'
import { changeNumberRest } from './change-number/rest.ts'
import { configurationGrpc } from './configuration/grpc.ts'
import { configurationRest, keepaliveRest } from './configuration/rest.ts'
import { credentialsGrpc } from './credentials/grpc.ts'
import { credentialsRest } from './credentials/rest.ts'
import { devicesGrpc } from './devices/grpc.ts'
import { devicesRest } from './devices/rest.ts'
import { discoveryRest } from './discovery/rest.ts'
import { invitesControl } from './invites/control.ts'
import { loginPurchaseGrpc } from './invites/grpc.ts'
import { invitesRest } from './invites/rest.ts'
import { keysAnonymousGrpc, keysGrpc } from './keys/grpc.ts'
import { keysRest } from './keys/rest.ts'
import { linkingRest } from './linking/rest.ts'
import { messagesGrpc } from './messages/grpc.ts'
import { messagesRest } from './messages/rest.ts'
import { identityCheckGrpc, profilesGrpc, zkCredentialKeysGrpc } from './profiles/grpc.ts'
import { profilesRest } from './profiles/rest.ts'
import { provisioningRest } from './provisioning/rest.ts'
import { recoveryGrpc } from './recovery/grpc.ts'
import { registrationRest } from './registration/rest.ts'
import { registrationLockGrpc } from './registration-lock/grpc.ts'
import { registrationLockRest } from './registration-lock/rest.ts'
import { reportsRest } from './reports/rest.ts'
import { totpGrpc } from './totp/grpc.ts'
import { usernamesAnonymousGrpc, usernamesGrpc } from './usernames/grpc.ts'
import { usernamesRest } from './usernames/rest.ts'
import { verificationRest } from './verification/rest.ts'
import { wakeUpsControl } from './wakeups/control.ts'

export type ChatOptions = Omit<CapabilitiesOptions, 'limits'> & {
  /** This server's address as people elsewhere reach it. */
  readonly publicUrl: () => string
  /** SHA-256 of the certificate authority's certificate. */
  readonly fingerprint: string
}

export type Chat = {
  readonly rest: readonly Bound[]
  readonly grpc: readonly GrpcMethod[]
  readonly admit: Admit
  readonly authenticate: Authenticate
  readonly authenticateOn: Accounts['authenticateOn']
  /** Answers whoever waits for something that has not come: call it before the doors close. */
  release(): void
  readonly refusesClient: RefusesClient
  /** What the operator's commands may ask. */
  readonly control: readonly ControlCall[]
  /** Removes what was acknowledged; the storage may be closed afterwards. */
  close(): Promise<void>
}

export async function openChat(options: ChatOptions): Promise<Chat> {
  const { sql, clock, config } = options
  await migrate(sql, 'chat', join(import.meta.dirname, 'migrations'), clock.nowMs())
  const limits = new Limits({ clock, overrides: config.limits })
  const chat = await openCapabilities({ ...options, limits })
  const {
    accounts,
    access,
    credentials,
    calling,
    keys,
    challenges,
    reports,
    messages,
    groups,
    zkKeys,
    profiles,
    avatarPlaces,
    attachments,
    backupCredentials,
    backups,
    media,
    usernames,
    discovery,
    identityCheck,
    readers,
    devices,
    linking,
    transfers,
    provisioning,
    sockets,
    invites,
    loginReceipts,
    admission,
    verification,
    recovery,
    lock,
    totp,
    registration,
    changeNumber,
    configuration,
  } = chat
  const server = () => ({ url: options.publicUrl(), fingerprint: options.fingerprint })
  const entitlementOf = (aci: Aci) => backupCredentials.entitlement(aci)
  return {
    rest: [
      ...accountsRest(accounts, entitlementOf),
      ...credentialsRest(credentials),
      ...callingRest(calling),
      ...attachmentsRest(attachments),
      ...backupsRest(backupCredentials, backups, media),
      ...usernamesRest(usernames),
      ...discoveryRest(discovery),
      ...profilesRest(profiles, identityCheck),
      ...devicesRest(devices),
      ...keysRest(keys),
      ...challengesRest(challenges),
      ...reportsRest(reports),
      ...messagesRest(messages, groups),
      ...linkingRest(linking, transfers),
      ...provisioningRest(provisioning),
      ...invitesRest(invites, server),
      ...verificationRest(verification),
      ...registrationLockRest(lock),
      ...registrationRest(registration, entitlementOf),
      ...changeNumberRest(changeNumber, entitlementOf),
      ...configurationRest(configuration, config.backups),
      ...keepaliveRest(),
    ],
    grpc: [
      // One service, of which several capabilities bring their parts: what a part brings leaves this list.
      ...implementService(AccountsService, {
        ...accountsGrpc(accounts),
        ...entitlementsGrpc(backupCredentials),
        ...usernamesGrpc(usernames),
        ...registrationLockGrpc(lock),
        ...recoveryGrpc(recovery),
        ...zkCredentialKeysGrpc(zkKeys),
        ...totpGrpc(totp),
        ...changeNumberGrpc(changeNumber),
      }),
      ...implementService(AccountsAnonymous, {
        ...accountsAnonymousGrpc(accounts, access),
        ...usernamesAnonymousGrpc(usernames),
      }),
      ...credentialsGrpc(credentials),
      ...callingGrpc(calling),
      ...keysGrpc(keys),
      ...implementService(KeysAnonymous, { ...keysAnonymousGrpc(keys), ...identityCheckGrpc(identityCheck) }),
      ...configurationGrpc(configuration),
      ...attachmentsGrpc(attachments),
      ...backupsGrpc(backupCredentials, backups, media),
      ...challengesGrpc(challenges),
      ...messagesGrpc(messages, groups, readers),
      ...profilesGrpc(profiles, avatarPlaces),
      ...devicesGrpc(devices),
      ...loginPurchaseGrpc(loginReceipts),
    ],
    admit: async (upgrade) => (await sockets.admit(upgrade)) ?? provisioning.admit(upgrade),
    control: [
      ...invitesControl(invites, server),
      ...admissionControl(admission),
      ...wakeUpsControl(accounts, options.push),
    ],
    refusesClient: chat.refusesClient,
    authenticate: (credentials) => accounts.authenticate(credentials),
    authenticateOn: (connection, authorization) => accounts.authenticateOn(connection, authorization),
    release: () => chat.release(),
    close: () => chat.close(),
  }
}
