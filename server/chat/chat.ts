// Signal-Server: the capabilities in their order. One may use those before it; what points back is registered here.

import { join } from 'node:path'
import { AccountsAnonymous, Accounts as AccountsService } from '../../wire/gen/account.js'
import { KeysAnonymous } from '../../wire/gen/keys.js'
import type { Bound } from '../../wire/route.ts'
import type { Aci } from '../../wire/types.ts'
import { type BackupObjects, noBackupObjects } from '../kit/backup-objects.ts'
import type { Bus } from '../kit/bus.ts'
import type { Clock } from '../kit/clock.ts'
import type { Config } from '../kit/config.ts'
import type { ControlCall } from '../kit/control.ts'
import { DAY_MS } from '../kit/days.ts'
import { externalServices } from '../kit/external-credentials.ts'
import { fileUrls } from '../kit/file-urls.ts'
import { type GrpcMethod, implementService } from '../kit/grpc-service.ts'
import { Limits } from '../kit/limits.ts'
import { PostPolicy } from '../kit/post-policy.ts'
import type { Random } from '../kit/random.ts'
import type { Authenticate, RefusesClient } from '../kit/router.ts'
import type { Secrets } from '../kit/secrets.ts'
import { migrate } from '../kit/sql/migrate.ts'
import type { Sql } from '../kit/sql/sql.ts'
import { UploadSignatures } from '../kit/upload-signatures.ts'
import type { Admit } from '../kit/websocket.ts'
import { Accounts, type Belongings } from './accounts/accounts.ts'
import { accountsAnonymousGrpc, accountsGrpc } from './accounts/grpc.ts'
import { accountsRest } from './accounts/rest.ts'
import { UnidentifiedAccess } from './accounts/unidentified-access.ts'
import { Attachments } from './attachments/attachments.ts'
import { attachmentsGrpc } from './attachments/grpc.ts'
import { attachmentsRest } from './attachments/rest.ts'
import { UploadForms } from './attachments/upload-forms.ts'
import { BackupCredentials } from './backups/backup-credentials.ts'
import { BackupMedia } from './backups/backup-media.ts'
import { BackupUsers } from './backups/backup-user.ts'
import { Backups } from './backups/backups.ts'
import { BackupCollection } from './backups/collection.ts'
import { backupsGrpc, entitlementsGrpc } from './backups/grpc.ts'
import { backupsRest } from './backups/rest.ts'
import { BackupStore } from './backups/store.ts'
import { Calling } from './calling/calling.ts'
import { callingGrpc } from './calling/grpc.ts'
import { callingRest } from './calling/rest.ts'
import type { CaptchaVerifier } from './challenges/captcha.ts'
import { Challenges } from './challenges/challenges.ts'
import { challengesGrpc } from './challenges/grpc.ts'
import type { ChallengePush } from './challenges/push.ts'
import { challengesRest } from './challenges/rest.ts'
import { ChangeNumber } from './change-number/change-number.ts'
import { changeNumberGrpc } from './change-number/grpc.ts'
import { changeNumberRest } from './change-number/rest.ts'
import { Configuration } from './configuration/configuration.ts'
import { Deprecation } from './configuration/deprecation.ts'
import { configurationGrpc } from './configuration/grpc.ts'
import { configurationRest, keepaliveRest } from './configuration/rest.ts'
import { Credentials } from './credentials/credentials.ts'
import { credentialsGrpc } from './credentials/grpc.ts'
import { Issuer } from './credentials/issuer.ts'
import { credentialsRest } from './credentials/rest.ts'
import { SenderCertificates } from './credentials/sender-certificates.ts'
import { Devices } from './devices/devices.ts'
import { devicesGrpc } from './devices/grpc.ts'
import { devicesRest } from './devices/rest.ts'
import { Discovery } from './discovery/discovery.ts'
import { discoveryRest } from './discovery/rest.ts'
import type { ChatEvents } from './events.ts'
import { keysAnonymousGrpc, keysGrpc } from './keys/grpc.ts'
import { Keys } from './keys/keys.ts'
import { keysRest } from './keys/rest.ts'
import { Linking } from './linking/linking.ts'
import { linkingRest } from './linking/rest.ts'
import { LinkingStore } from './linking/store.ts'
import { Transfers } from './linking/transfers.ts'
import { Waits } from './linking/waits.ts'
import { AccountSync } from './messages/account-sync.ts'
import { GroupMessages } from './messages/group-messages.ts'
import { messagesGrpc } from './messages/grpc.ts'
import { Messages } from './messages/messages.ts'
import { Queues } from './messages/queues.ts'
import { Readers } from './messages/readers.ts'
import { Receipts } from './messages/receipts.ts'
import { messagesRest } from './messages/rest.ts'
import { Sockets } from './messages/sockets.ts'
import { MessageStore } from './messages/store.ts'
import { AvatarPlaces } from './profiles/avatar-places.ts'
import { type AvatarStore, AvatarSweep } from './profiles/avatars.ts'
import { identityCheckGrpc, profilesGrpc, zkCredentialKeysGrpc } from './profiles/grpc.ts'
import { IdentityCheck } from './profiles/identity-check.ts'
import { Profiles } from './profiles/profiles.ts'
import { profilesRest } from './profiles/rest.ts'
import { ProfileStore } from './profiles/store.ts'
import { ZkCredentialKeys } from './profiles/zk-credential-keys.ts'
import { Provisioning } from './provisioning/provisioning.ts'
import { provisioningRest } from './provisioning/rest.ts'
import { recoveryGrpc } from './recovery/grpc.ts'
import { NumberProof } from './recovery/number-proof.ts'
import { Recovery } from './recovery/recovery.ts'
import { Registration } from './registration/registration.ts'
import { registrationRest } from './registration/rest.ts'
import { registrationLockGrpc } from './registration-lock/grpc.ts'
import { RegistrationLock } from './registration-lock/registration-lock.ts'
import { registrationLockRest } from './registration-lock/rest.ts'
import { MessageGuids } from './reports/message-guids.ts'
import { Reports } from './reports/reports.ts'
import { reportsRest } from './reports/rest.ts'
import { ReportStore } from './reports/store.ts'
import { totpGrpc } from './totp/grpc.ts'
import { Totp } from './totp/totp.ts'
import { usernamesAnonymousGrpc, usernamesGrpc } from './usernames/grpc.ts'
import { usernamesRest } from './usernames/rest.ts'
import { Usernames } from './usernames/usernames.ts'
import { openBudgets } from './verification/budgets/open-budgets.ts'
import { verificationRest } from './verification/rest.ts'
import type { CodeSender } from './verification/senders/sender.ts'
import { Verification } from './verification/verification.ts'

export type ChatOptions = {
  readonly sql: Sql
  readonly bus: Bus
  readonly clock: Clock
  readonly random: Random
  readonly secrets: Secrets
  readonly config: Config
  readonly senders: readonly CodeSender[]
  /** Judges captchas; without it none is offered or accepted. */
  readonly captcha?: CaptchaVerifier
  /** Brings challenges to phones. */
  readonly challengePush?: ChallengePush | undefined
  /** Removes avatars that nobody names any more; without it they wait. */
  readonly avatars?: AvatarStore
  /** Keeps the media of backups; without it there are none. */
  readonly backupObjects?: BackupObjects
  /** What other services keep of accounts. */
  readonly elsewhere?: readonly Belongings[]
  readonly events: ChatEvents
  /** This server's own address; asked when its port is bound. */
  readonly ownUrl: () => string
  readonly onBug: (error: unknown, where: string) => void
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

const FORGET_EVERY_MS = 3_600_000

export async function openChat(options: ChatOptions): Promise<Chat> {
  const { sql, bus, clock, random, secrets, config, events, onBug } = options
  await migrate(sql, 'chat', join(import.meta.dirname, 'migrations'), clock.nowMs())
  const limits = new Limits({ clock, overrides: config.limits })
  const accounts = new Accounts({ sql, bus, clock, random, limits })
  for (const belongings of options.elsewhere ?? []) accounts.keeps(belongings)
  const access = new UnidentifiedAccess(() => secrets.serverSecretParams, clock)
  const issuer = new Issuer({ secrets, onBug })
  const services = externalServices(secrets, clock)
  const lifetimeDays = config.credentials.senderCertificateDays
  const certificates = new SenderCertificates({ secrets, clock, lifetimeDays })
  const credentials = new Credentials({ accounts, issuer, certificates, services, limits, clock })
  const turn = { ...config.calling, secret: secrets.turnSecret }
  const calling = new Calling({ ...turn, limits, clock, random, events })
  const keys = new Keys({ sql, accounts, access, limits })
  const challenges = new Challenges({
    ...{ sql, accounts, limits, clock, random, events, onBug, ...config.challenges },
    captcha: options.captcha,
    push: options.challengePush,
  })
  accounts.keeps(challenges)
  const guids = new MessageGuids(secrets.reportSecret, clock, random)
  const reports = new Reports({ store: new ReportStore(sql), accounts, guids, clock, events, onBug })
  accounts.keeps(reports)
  const queues = await Queues.open({ store: new MessageStore(sql), bus, clock, onBug })
  accounts.keeps(keys)
  accounts.keeps(queues)
  accounts.onSendAway((aci, devices) => queues.disconnect(aci, devices))
  const messages = new Messages({
    accounts,
    access,
    challenges,
    guids,
    queues,
    limits,
    clock,
    random,
    events,
  })
  const groups = new GroupMessages({ accounts, access, issuer, queues, limits, clock, random, events })
  const receipts = new Receipts({ accounts, queues, clock, random, onBug })
  const policy = new PostPolicy(secrets.uploads, clock)
  const profileStore = new ProfileStore(sql)
  const zkKeys = new ZkCredentialKeys({ sql, accounts, limits, random })
  const profiles = new Profiles({
    ...{ store: profileStore, accounts, access, issuer, limits, clock, random, policy },
  })
  const avatarPlaces = new AvatarPlaces({
    ...{ store: profileStore, zkKeys, issuer, limits, clock, random, policy, avatars: options.avatars },
  })
  const avatarSweep = new AvatarSweep({ store: profileStore, clock, avatars: options.avatars, onBug })
  accounts.keeps(profiles)
  accounts.keeps(zkKeys)
  const signatures = new UploadSignatures(secrets.uploads, clock)
  const forms = new UploadForms({ signatures, urls: fileUrls(config.files.urls, options.ownUrl), random })
  const attachments = new Attachments({ forms, policy, limits, random, ...config.attachments })
  const { level, graceDays, maxMessagesBytes, maxMediaBytes } = config.backups
  const maxAttachmentBytes = config.attachments.maxBytes
  const objects = options.backupObjects ?? noBackupObjects
  const backupStore = new BackupStore(sql)
  const users = new BackupUsers(backupStore, issuer, clock)
  const backupCredentials = new BackupCredentials({ sql, accounts, issuer, limits, clock, level })
  const backups = new Backups({
    ...{ store: backupStore, users, forms, limits, clock, random, svrb: services.svrb },
    ...{ maxMessagesBytes, maxAttachmentBytes },
  })
  const media = new BackupMedia({
    ...{ store: backupStore, objects, clock, maxSourceBytes: maxAttachmentBytes, maxMediaBytes },
  })
  const collection = new BackupCollection({
    ...{ store: backupStore, objects, credentials: backupCredentials, clock, random, graceDays, onBug },
  })
  accounts.keeps(backupCredentials)
  const entitlementOf = (aci: Aci) => backupCredentials.entitlement(aci)
  const usernames = new Usernames({ sql, accounts, limits, clock, random })
  accounts.keeps(usernames)
  const discovery = new Discovery({ accounts, limits, clock, random, policy: config.discovery, events })
  const identityCheck = new IdentityCheck(accounts, limits)
  const readers = new Readers({ accounts, receipts, queues, clock, onBug })
  const devices = new Devices({ accounts, events })
  const waits = new Waits({ bus, clock })
  const linkingStore = new LinkingStore(sql)
  const linking = new Linking({
    ...{ accounts, keys, queues, store: linkingStore, waits, limits, clock, random, events },
    secret: secrets.linkDeviceSecret,
  })
  accounts.keeps(linking)
  const transfers = new Transfers({ accounts, store: linkingStore, waits, limits, clock, onBug })
  const provisioning = new Provisioning({ bus, clock, random, limits, events })
  const sockets = new Sockets({
    ...{ accounts, readers, queues, clock, events, onBug },
    idlePrimaryMs: config.clients.idlePrimaryDays * DAY_MS,
  })
  const { verificationSecret } = secrets
  const verification = new Verification({
    ...{ sql, clock, random, limits, senders: options.senders, events },
    budgets: openBudgets(config, { sql, clock, events, secret: verificationSecret }),
    demanded: config.registration.captcha === 'on',
    captcha: options.captcha,
    push: options.challengePush,
    secret: verificationSecret,
  })
  const recovery = new Recovery({ sql, accounts, clock, random })
  accounts.keeps(recovery)
  verification.onVerified((e164) => recovery.verified(e164))
  const numberProof = new NumberProof(verification, recovery)
  const lock = new RegistrationLock({
    ...{ accounts, recovery, limits, clock, random, events },
    svr2Credentials: (aci) => services.svr2.issue(aci),
  })
  const totp = new Totp({ sql, accounts, limits, clock, random })
  accounts.keeps(totp)
  const { requiredCapabilities } = config.registration
  const registration = new Registration({
    accounts,
    keys,
    numberProof,
    recovery,
    lock,
    totp,
    limits,
    clock,
    random,
    requiredCapabilities,
    closed: config.registration.mode === 'closed',
    events,
  })
  const sync = new AccountSync({ queues, clock, random })
  const changeNumber = new ChangeNumber({ accounts, keys, sync, numberProof, lock, limits, clock })
  const forget = () =>
    Promise.all([accounts.forgetExpired(), recovery.expire(), verification.expire()]).catch((error) =>
      onBug(error, 'expiry'),
    )
  const forgetting = clock.every(FORGET_EVERY_MS, () => void forget())
  const configuration = new Configuration(config.remoteConfig)
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
    ],
    admit: async (upgrade) => (await sockets.admit(upgrade)) ?? provisioning.admit(upgrade),
    control: [],
    refusesClient: Deprecation.of(config.clients, events)?.refuses,
    authenticate: (credentials) => accounts.authenticate(credentials),
    authenticateOn: (connection, authorization) => accounts.authenticateOn(connection, authorization),
    release() {
      waits.close()
      verification.close()
    },
    async close() {
      await collection.close()
      forgetting.cancel()
      transfers.close()
      await receipts.drain()
      await queues.close()
      await avatarSweep.close()
      await issuer.close()
    },
  }
}
