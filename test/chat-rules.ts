// The chat server's rules over a real store, on a clock wound by hand, without its doors.
import type { TestContext } from 'node:test'
import { PrivateKey, ServerCertificate } from '@signalapp/libsignal-client'
import {
  GenericServerSecretParams,
  ServerSecretParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { z } from 'zod'
import { Accounts } from '../server/chat/accounts/accounts.ts'
import { UnidentifiedAccess } from '../server/chat/accounts/unidentified-access.ts'
import { Attachments, type AttachmentsOptions } from '../server/chat/attachments/attachments.ts'
import { UploadForms } from '../server/chat/attachments/upload-forms.ts'
import {
  BackupCredentials,
  type BackupCredentialsOptions,
} from '../server/chat/backups/backup-credentials.ts'
import { BackupMedia } from '../server/chat/backups/backup-media.ts'
import { BackupUsers } from '../server/chat/backups/backup-user.ts'
import { Backups } from '../server/chat/backups/backups.ts'
import { BackupStore } from '../server/chat/backups/store.ts'
import { Challenges, type ChallengesOptions } from '../server/chat/challenges/challenges.ts'
import { ChangeNumber } from '../server/chat/change-number/change-number.ts'
import { Credentials } from '../server/chat/credentials/credentials.ts'
import { Issuer } from '../server/chat/credentials/issuer.ts'
import { SenderCertificates } from '../server/chat/credentials/sender-certificates.ts'
import { Devices } from '../server/chat/devices/devices.ts'
import { chatEvents } from '../server/chat/events.ts'
import { Keys } from '../server/chat/keys/keys.ts'
import { Linking } from '../server/chat/linking/linking.ts'
import { LinkingStore } from '../server/chat/linking/store.ts'
import { Transfers } from '../server/chat/linking/transfers.ts'
import { Waits } from '../server/chat/linking/waits.ts'
import { AccountSync } from '../server/chat/messages/account-sync.ts'
import { GroupMessages } from '../server/chat/messages/group-messages.ts'
import { Messages } from '../server/chat/messages/messages.ts'
import { Queues } from '../server/chat/messages/queues.ts'
import { Readers } from '../server/chat/messages/readers.ts'
import { Receipts } from '../server/chat/messages/receipts.ts'
import { MessageStore } from '../server/chat/messages/store.ts'
import { AvatarPlaces } from '../server/chat/profiles/avatar-places.ts'
import { Profiles } from '../server/chat/profiles/profiles.ts'
import { ProfileStore } from '../server/chat/profiles/store.ts'
import { ZkCredentialKeys } from '../server/chat/profiles/zk-credential-keys.ts'
import { Provisioning } from '../server/chat/provisioning/provisioning.ts'
import { NumberProof } from '../server/chat/recovery/number-proof.ts'
import { Recovery } from '../server/chat/recovery/recovery.ts'
import { Registration, type RegistrationOptions } from '../server/chat/registration/registration.ts'
import { RegistrationLock } from '../server/chat/registration-lock/registration-lock.ts'
import { MessageGuids } from '../server/chat/reports/message-guids.ts'
import { Reports } from '../server/chat/reports/reports.ts'
import { ReportStore } from '../server/chat/reports/store.ts'
import { Totp } from '../server/chat/totp/totp.ts'
import { Usernames } from '../server/chat/usernames/usernames.ts'
import { Budgets } from '../server/chat/verification/budgets/budgets.ts'
import type { CodeSender } from '../server/chat/verification/senders/sender.ts'
import { Verification, type VerificationOptions } from '../server/chat/verification/verification.ts'
import { type BackupObjects, noBackupObjects } from '../server/kit/backup-objects.ts'
import { MemoryBus } from '../server/kit/bus.ts'
import { ManualClock } from '../server/kit/clock.ts'
import { codeBreaker, codes } from '../server/kit/config-codes.ts'
import { Counters } from '../server/kit/counters.ts'
import { externalServices } from '../server/kit/external-credentials.ts'
import { fileUrls } from '../server/kit/file-urls.ts'
import { type LimitRule, MemoryLimitStore } from '../server/kit/limit-store.ts'
import { type LimitOverrides, Limits } from '../server/kit/limits.ts'
import { silentLog } from '../server/kit/log.ts'
import { PostPolicy } from '../server/kit/post-policy.ts'
import { type Random, SeededRandom } from '../server/kit/random.ts'
import { UploadKeyRing } from '../server/kit/upload-keys.ts'
import { UploadSignatures } from '../server/kit/upload-signatures.ts'
import { openChatStorage } from './chat-storage.ts'
import { freshEngine, type OpenEngine } from './engines.ts'
import { WatchedSql } from './watched-sql.ts'

export type RulesOptions = {
  /** A storage of its own; SQLCipher unless told. */
  readonly engine?: OpenEngine
  readonly challenges?: Partial<Pick<ChallengesOptions, 'captcha' | 'push' | 'strangersPerDay'>>
  readonly limits?: LimitOverrides
  readonly senders?: readonly CodeSender[]
  /** As in the configuration; without it codes cost nothing. */
  readonly codes?: z.input<typeof codes>
  readonly codeBreaker?: z.input<typeof codeBreaker>
  readonly verification?: Partial<Pick<VerificationOptions, 'demanded' | 'captcha' | 'push'>>
  readonly backups?: Partial<Pick<BackupCredentialsOptions, 'level'>>
  readonly objects?: BackupObjects
  readonly attachments?: Partial<Pick<AttachmentsOptions, 'maxBytes' | 'cdn'>>
  readonly registration?: Partial<Pick<RegistrationOptions, 'requiredCapabilities' | 'closed'>>
}
export type Rules = Awaited<ReturnType<typeof openRules>>

/** Notes what was taken from, as `name: key`. */
class NotedLimitStore extends MemoryLimitStore {
  readonly taken: string[] = []

  override take(rule: LimitRule, key: string, permits: number): number {
    this.taken.push(`${rule.name}: ${key}`)
    return super.take(rule, key, permits)
  }
}

const UPLOAD_KEYS = UploadKeyRing.of({
  bearerKey: Buffer.alloc(32, 1),
  accessKeyId: 'HELIO',
  secretAccessKey: 'secret',
})

const makeZkSecrets = () => ({
  serverSecretParams: ServerSecretParams.generate(),
  genericServerSecretParams: GenericServerSecretParams.generate(),
  backupServerSecretParams: GenericServerSecretParams.generate(),
})
let made: ReturnType<typeof makeZkSecrets> | undefined
/** The server's zkgroup parameters: the same for all tests of a file. */
export const zkSecrets = (): ReturnType<typeof makeZkSecrets> => {
  made ??= makeZkSecrets()
  return made
}
export const serverSecretParams = (): ServerSecretParams => zkSecrets().serverSecretParams

function certificateSecrets() {
  const trustRoot = PrivateKey.generate()
  const senderCertificateKey = PrivateKey.generate()
  const serverCertificate = ServerCertificate.new(1, senderCertificateKey.getPublicKey(), trustRoot)
  return { senderCertificateKey, serverCertificate, trustRoot: trustRoot.getPublicKey() }
}

function serviceSecrets(random: Random) {
  const keys = () => ({ secret: random.bytes(32), userIdKey: random.bytes(32) })
  return { storage: keys(), directory: keys(), svr2: keys(), svrb: keys() }
}

/** A server of its own for one test, whose bugs fail it. */
export async function openRules(t: TestContext, options: RulesOptions = {}) {
  const bugs: unknown[] = []
  const open = options.engine ?? (await freshEngine('sqlite', t))
  const sql = new WatchedSql(await openChatStorage(open!))
  const clock = new ManualClock()
  const random = new SeededRandom(t.name)
  const bus = new MemoryBus()
  const counters = new Counters()
  const events = chatEvents(counters, silentLog)
  const onBug = (error: unknown) => void bugs.push(error)
  const limitStore = new NotedLimitStore(clock)
  const limits = new Limits({ clock, overrides: options.limits, store: limitStore })
  const accounts = new Accounts({ sql, bus, clock, random, limits })
  const access = new UnidentifiedAccess(serverSecretParams, clock)
  const issuer = new Issuer({ secrets: zkSecrets(), onBug })
  t.after(() => issuer.close())
  const services = externalServices({ externalServices: serviceSecrets(random) }, clock)
  const { trustRoot, ...signer } = certificateSecrets()
  const certificates = new SenderCertificates({ secrets: signer, clock, lifetimeDays: 7 })
  const credentials = new Credentials({ accounts, issuer, certificates, services, limits, clock })
  const keys = new Keys({ sql, accounts, access, limits })
  const store = new MessageStore(sql)
  const challenges = new Challenges({
    ...{ sql, accounts, limits, clock, random, events, onBug },
    ...{ captcha: undefined, push: undefined, strangersPerDay: 0, ...options.challenges },
  })
  accounts.keeps(challenges)
  const guids = new MessageGuids(Buffer.alloc(32, 3), clock, random)
  const reports = new Reports({ store: new ReportStore(sql), accounts, guids, clock, events, onBug })
  accounts.keeps(reports)
  const queues = await Queues.open({ store, bus, clock, onBug })
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
  const signatures = new UploadSignatures(UPLOAD_KEYS, clock)
  const forms = new UploadForms({ signatures, urls: fileUrls({}, () => 'https://own'), random })
  const policy = new PostPolicy(UPLOAD_KEYS, clock)
  const attachments = new Attachments({
    ...{ forms, policy, limits, random, maxBytes: 1000, cdn: 3 },
    ...options.attachments,
  })
  const backupStore = new BackupStore(sql)
  const backupCredentials = new BackupCredentials({
    ...{ sql, accounts, issuer, limits, clock, level: 'paid' },
    ...options.backups,
  })
  const backups = new Backups({
    ...{
      store: backupStore,
      users: new BackupUsers(backupStore, issuer, clock),
      forms,
      limits,
      clock,
      random,
    },
    ...{ svrb: services.svrb, maxMessagesBytes: 5000, maxAttachmentBytes: 1000 },
  })
  const media = new BackupMedia({
    ...{ store: backupStore, objects: options.objects ?? noBackupObjects, clock },
    ...{ maxSourceBytes: 1000, maxMediaBytes: 10_000 },
  })
  accounts.keeps(backupCredentials)
  const profileStore = new ProfileStore(sql)
  const zkKeys = new ZkCredentialKeys({ sql, accounts, limits, random })
  const profiles = new Profiles({
    ...{ store: profileStore, accounts, access, issuer, limits, clock, random, policy },
  })
  const avatarPlaces = new AvatarPlaces({
    ...{ store: profileStore, zkKeys, issuer, limits, clock, random, policy },
  })
  accounts.keeps(profiles)
  accounts.keeps(zkKeys)
  const usernames = new Usernames({ sql, accounts, limits, clock, random })
  accounts.keeps(usernames)
  const devices = new Devices({ accounts, events })
  const waits = new Waits({ bus, clock })
  const linkingStore = new LinkingStore(sql)
  const secret = Buffer.alloc(32, 2)
  const linking = new Linking({
    ...{ accounts, keys, queues, store: linkingStore, waits, limits, clock, random, secret, events },
  })
  accounts.keeps(linking)
  const transfers = new Transfers({ accounts, store: linkingStore, waits, limits, clock, onBug })
  const provisioning = new Provisioning({ bus, clock, random, limits, events })
  const readers = new Readers({ accounts, receipts, queues, clock, onBug })
  const verificationSecret = Buffer.alloc(32, 4)
  const budgets =
    options.codes &&
    new Budgets({
      ...{ sql, clock, events, secret: verificationSecret },
      ...{ codes: codes.parse(options.codes), codeBreaker: codeBreaker.parse(options.codeBreaker ?? {}) },
    })
  const verification = new Verification({
    ...{
      sql,
      clock,
      random,
      limits,
      senders: options.senders ?? [],
      events,
      budgets,
      secret: verificationSecret,
    },
    ...{ demanded: false, captcha: undefined, push: undefined },
    ...options.verification,
  })
  const recovery = new Recovery({ sql, accounts, clock, random })
  accounts.keeps(recovery)
  verification.onVerified((e164) => recovery.verified(e164))
  const numberProof = new NumberProof(verification, recovery)
  const lock = new RegistrationLock({
    ...{ accounts, recovery, limits, clock, random, events },
    svr2Credentials: (aci) => ({ username: aci, password: 'svr2' }),
  })
  const totp = new Totp({ sql, accounts, limits, clock, random })
  accounts.keeps(totp)
  const registration = new Registration({
    ...{ accounts, keys, numberProof, recovery, lock, totp, limits, clock, random, events },
    requiredCapabilities: [],
    closed: false,
    ...options.registration,
  })
  const sync = new AccountSync({ queues, clock, random })
  const changeNumber = new ChangeNumber({ accounts, keys, sync, numberProof, lock, limits, clock })
  t.after(() => {
    if (bugs.length > 0) throw new AggregateError(bugs, 'the rules met bugs of their own')
  })
  return {
    ...{ profileStore, profiles, avatarPlaces, zkKeys },
    ...{ sql, clock, random, bus, counters, events, limits, accounts, access, keys, store, queues },
    ...{ issuer, services, credentials, trustRoot },
    ...{ signatures, attachments, backups, backupStore, backupCredentials, media },
    ...{ usernames, readers },
    ...{
      challenges,
      reports,
      budgets,
      messages,
      groups,
      receipts,
      verification,
      recovery,
      numberProof,
      lock,
      totp,
      registration,
      changeNumber,
    },
    ...{ devices, waits, linkingStore, linking, transfers, provisioning },
    ...{ bugs, onBug, limited: limitStore.taken },
  }
}
