// The capabilities of the chat server in their order. One may use those before it; what points back is registered here.

import { type BackupObjects, noBackupObjects } from '../kit/backup-objects.ts'
import type { Bus } from '../kit/bus.ts'
import type { Clock } from '../kit/clock.ts'
import { type Config, registrationModeOf } from '../kit/config.ts'
import { DAY_MS } from '../kit/days.ts'
import { externalServices } from '../kit/external-credentials.ts'
import { fileUrls } from '../kit/file-urls.ts'
import { type FreeRoom, freeRoom } from '../kit/free-room.ts'
import { Housekeeping } from '../kit/housekeeping.ts'
import type { Limits } from '../kit/limits.ts'
import { PostPolicy } from '../kit/post-policy.ts'
import type { PushGateway } from '../kit/push-gateway.ts'
import type { Random } from '../kit/random.ts'
import type { Secrets } from '../kit/secrets.ts'
import type { Sql } from '../kit/sql/sql.ts'
import { UploadSignatures } from '../kit/upload-signatures.ts'
import { Accounts, type Belongings } from './accounts/accounts.ts'
import { UnidentifiedAccess } from './accounts/unidentified-access.ts'
import { Admission } from './admission/admission.ts'
import { Attachments } from './attachments/attachments.ts'
import { UploadForms } from './attachments/upload-forms.ts'
import { BackupCredentials } from './backups/backup-credentials.ts'
import { BackupMedia } from './backups/backup-media.ts'
import { BackupUsers } from './backups/backup-user.ts'
import { Backups } from './backups/backups.ts'
import { BackupCollection } from './backups/collection.ts'
import { BackupStore } from './backups/store.ts'
import { Calling } from './calling/calling.ts'
import type { CaptchaVerifier } from './challenges/captcha.ts'
import { Challenges } from './challenges/challenges.ts'
import type { ChallengePush } from './challenges/push.ts'
import { ChangeNumber } from './change-number/change-number.ts'
import { Configuration } from './configuration/configuration.ts'
import { Deprecation } from './configuration/deprecation.ts'
import { Credentials } from './credentials/credentials.ts'
import { Issuer } from './credentials/issuer.ts'
import { SenderCertificates } from './credentials/sender-certificates.ts'
import { Devices } from './devices/devices.ts'
import { Discovery } from './discovery/discovery.ts'
import type { ChatEvents } from './events.ts'
import { Invites } from './invites/invites.ts'
import { LoginReceipts } from './invites/login-receipts.ts'
import { Keys } from './keys/keys.ts'
import { Linking } from './linking/linking.ts'
import { LinkingStore } from './linking/store.ts'
import { Transfers } from './linking/transfers.ts'
import { Waits } from './linking/waits.ts'
import { AccountSync } from './messages/account-sync.ts'
import { GroupMessages } from './messages/group-messages.ts'
import { Messages } from './messages/messages.ts'
import { Queues } from './messages/queues.ts'
import { Readers } from './messages/readers.ts'
import { Receipts } from './messages/receipts.ts'
import { Sockets } from './messages/sockets.ts'
import { MessageStore } from './messages/store.ts'
import { AvatarPlaces } from './profiles/avatar-places.ts'
import { type AvatarStore, AvatarSweep } from './profiles/avatars.ts'
import { IdentityCheck } from './profiles/identity-check.ts'
import { Profiles } from './profiles/profiles.ts'
import { ProfileStore } from './profiles/store.ts'
import { ZkCredentialKeys } from './profiles/zk-credential-keys.ts'
import { Provisioning } from './provisioning/provisioning.ts'
import { NumberProof } from './recovery/number-proof.ts'
import { Recovery } from './recovery/recovery.ts'
import { Registration } from './registration/registration.ts'
import { RegistrationLock } from './registration-lock/registration-lock.ts'
import { MessageGuids } from './reports/message-guids.ts'
import { Reports } from './reports/reports.ts'
import { ReportStore } from './reports/store.ts'
import { Totp } from './totp/totp.ts'
import { Usernames } from './usernames/usernames.ts'
import { openBudgets } from './verification/budgets/open-budgets.ts'
import type { CodeSender } from './verification/senders/sender.ts'
import { Verification } from './verification/verification.ts'
import { WakeUpStore } from './wakeups/store.ts'
import { Tidings } from './wakeups/tidings.ts'
import { WakeUps } from './wakeups/wakeups.ts'

/** The server's keys that the chat server uses. */
export type ChatSecrets = Pick<
  Secrets,
  | 'serverSecretParams'
  | 'genericServerSecretParams'
  | 'backupServerSecretParams'
  | 'senderCertificateKey'
  | 'serverCertificate'
  | 'linkDeviceSecret'
  | 'externalServices'
  | 'uploads'
  | 'turnSecret'
  | 'reportSecret'
  | 'verificationSecret'
>

/** What the rules work with; services that are not there leave their capabilities poorer. */
export type CapabilitiesOptions = {
  readonly sql: Sql
  readonly bus: Bus
  readonly clock: Clock
  readonly limits: Limits
  readonly random: Random
  readonly secrets: ChatSecrets
  readonly config: Config
  readonly senders: readonly CodeSender[]
  /** Judges captchas; without it none is offered or accepted. */
  readonly captcha?: CaptchaVerifier | undefined
  /** Brings challenges to phones. */
  readonly challengePush?: ChallengePush | undefined
  /** Wakes devices; without it they come by themselves. */
  readonly push?: PushGateway | undefined
  /** The public key of Web Push (base64url), if that is offered. */
  readonly webPushKey?: string | undefined
  /** Removes avatars that nobody names any more; without it they wait. */
  readonly avatars?: AvatarStore | undefined
  /** Keeps the media of backups; without it there are none. */
  readonly backupObjects?: BackupObjects | undefined
  /** What other services keep of accounts. */
  readonly elsewhere?: readonly Belongings[]
  readonly events: ChatEvents
  /** This server's own address; asked when its port is bound. */
  readonly ownUrl: () => string
  /** How much room this host has; measured unless told. */
  readonly measureRoom?: (() => Promise<FreeRoom>) | undefined
  readonly onBug: (error: unknown, where: string) => void
}

export type Capabilities = Awaited<ReturnType<typeof openCapabilities>>

const FORGET_EVERY_MS = 3_600_000

/** The rules over their stores, without doors. The tables must be there. */
export async function openCapabilities(options: CapabilitiesOptions) {
  const { sql, bus, clock, limits, random, secrets, config, events, onBug } = options
  const housekeeping = new Housekeeping(clock, onBug)
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
    ...{ sql, accounts, limits, clock, random, events, housekeeping, ...config.challenges },
    captcha: options.captcha,
    push: options.challengePush,
  })
  accounts.keeps(challenges)
  const guids = new MessageGuids(secrets.reportSecret, clock, random)
  const reports = new Reports({ store: new ReportStore(sql), accounts, guids, clock, housekeeping, events })
  accounts.keeps(reports)
  const queues = await Queues.open({ store: new MessageStore(sql), bus, clock, housekeeping, onBug })
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
  const wakeUps =
    options.push &&
    new WakeUps({
      ...{ store: new WakeUpStore(sql), accounts, queues, gateway: options.push },
      ...{ clock, housekeeping, events, onBug },
    })
  if (wakeUps) {
    queues.wakeBy(wakeUps)
    accounts.keeps(wakeUps)
  }
  const tidings = options.push && new Tidings({ accounts, gateway: options.push, clock, events, onBug })
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
  new AvatarSweep({ store: profileStore, clock, avatars: options.avatars, housekeeping, onBug })
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
    ...{
      store: backupStore,
      objects,
      credentials: backupCredentials,
      clock,
      random,
      graceDays,
      housekeeping,
    },
  })
  accounts.keeps(backupCredentials)
  const usernames = new Usernames({ sql, accounts, limits, clock, random })
  accounts.keeps(usernames)
  const discovery = new Discovery({ accounts, limits, clock, random, policy: config.discovery, events })
  const identityCheck = new IdentityCheck(accounts, limits)
  const readers = new Readers({ accounts, receipts, queues, clock, onBug })
  const devices = new Devices({ accounts, clock, events, webPushKey: options.webPushKey })
  const waits = new Waits({ bus, clock })
  const linkingStore = new LinkingStore(sql)
  const linking = new Linking({
    ...{ accounts, keys, queues, store: linkingStore, waits, limits, clock, random, events },
    secret: secrets.linkDeviceSecret,
  })
  accounts.keeps(linking)
  const transfers = new Transfers({ accounts, store: linkingStore, waits, limits, clock, housekeeping })
  const provisioning = new Provisioning({ bus, clock, random, limits, events })
  const sockets = new Sockets({
    ...{ accounts, readers, queues, clock, events, onBug },
    idlePrimaryMs: config.clients.idlePrimaryDays * DAY_MS,
  })
  const invites = new Invites({ sql, clock, random, limits, events })
  const { minFreeDisk, minFreeMemory } = config.registration
  const admission = new Admission({
    ...{ sql, accounts, invites, clock, events, minFreeDisk, minFreeMemory },
    mode: registrationModeOf(config),
    measure: options.measureRoom ?? (() => freeRoom(config.data)),
  })
  const loginReceipts = new LoginReceipts({ sql, invites, issuer, limits, clock, events })
  const { verificationSecret } = secrets
  const budgets = openBudgets(config, { sql, clock, events, secret: verificationSecret })
  const verification = new Verification({
    ...{ sql, clock, random, limits, senders: options.senders, events, budgets },
    policy: admission,
    demanded: config.registration.captcha === 'on',
    captcha: options.captcha,
    push: options.challengePush,
    secret: verificationSecret,
  })
  const recovery = new Recovery({ sql, accounts, clock, random })
  accounts.keeps(recovery)
  verification.onVerified((e164) => recovery.verified(e164))
  const numberProof = new NumberProof(verification, recovery, invites)
  const lock = new RegistrationLock({
    ...{ accounts, recovery, limits, clock, random, events },
    svr2Credentials: (aci) => services.svr2.issue(aci),
  })
  if (tidings) {
    verification.onCodeRequested((e164) => tidings.codeRequested(e164))
    lock.onAttempt((account) => tidings.lockMet(account))
  }
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
    admission,
    loginReceipts,
    events,
  })
  const sync = new AccountSync({ queues, clock, random })
  const changeNumber = new ChangeNumber({ accounts, keys, sync, numberProof, lock, limits, clock })
  housekeeping.every(FORGET_EVERY_MS, 'expiry', () =>
    Promise.all([
      accounts.forgetExpired(),
      recovery.expire(),
      verification.expire(),
      invites.expire(),
      loginReceipts.expire(),
    ]),
  )
  const configuration = new Configuration(config.remoteConfig)
  return {
    accounts,
    access,
    issuer,
    services,
    credentials,
    calling,
    keys,
    challenges,
    reports,
    queues,
    messages,
    groups,
    receipts,
    zkKeys,
    profiles,
    avatarPlaces,
    signatures,
    attachments,
    backupCredentials,
    backups,
    media,
    collection,
    usernames,
    discovery,
    identityCheck,
    readers,
    devices,
    waits,
    linking,
    transfers,
    provisioning,
    sockets,
    invites,
    loginReceipts,
    admission,
    wakeUps,
    tidings,
    budgets,
    verification,
    recovery,
    numberProof,
    lock,
    totp,
    registration,
    changeNumber,
    configuration,
    housekeeping,
    refusesClient: Deprecation.of(config.clients, events)?.refuses,
    /** Answers whoever waits for something that has not come: call it before the doors close. */
    release() {
      waits.close()
      verification.close()
    },
    /** Removes what was acknowledged; the storage may be closed afterwards. */
    async close(): Promise<void> {
      await housekeeping.close()
      await wakeUps?.close()
      await receipts.drain()
      await queues.drain()
      await issuer.close()
    },
  }
}
