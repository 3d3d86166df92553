// Every endpoint of Signal's servers, and what becomes of it here. docs/protocol/ledger.md is made from this.

export type Status = 'done' | 'partly' | 'not yet' | 'out of scope'
export type Kind = 'REST' | 'RPC' | 'websocket' | 'other host'
export type Entry = {
  readonly kind: Kind
  /** `GET /path/{parameter}`, `package.Service/Rpc`, or a socket's path. */
  readonly endpoint: string
  readonly status: Status
  /** What is missing, which issue brings it, or why it is not wanted; nothing where it is done. */
  readonly note: string
}
export type Section = { readonly title: string; readonly entries: readonly Entry[] }

type Verdict = readonly [Status, string]
const done: Verdict = ['done', '']
const partly = (missing: string): Verdict => ['partly', missing]
const never = (why: string): Verdict => ['out of scope', why]

const MONEY = never('money: there is nothing to buy here')
const ENCLAVE = never('needs an enclave of Intel’s that clients check; nobody else can run one')
const NO_LOG = never('needs a public log that auditors watch; 404 and UNIMPLEMENTED, which clients bear')
const SFU = never('the group calling server is another program')
const REMOVED = never('removed from Signal’s own server: 404 here too')

const list =
  (kind: Kind) =>
  (verdicts: Readonly<Record<string, Verdict>>): Entry[] =>
    Object.entries(verdicts).map(([endpoint, [status, note]]) => ({ kind, endpoint, status, note }))
const rest = list('REST')
const websockets = list('websocket')
const otherHosts = list('other host')

const rpcs = (service: string, verdicts: Readonly<Record<string, Verdict>>): Entry[] =>
  list('RPC')(
    Object.fromEntries(Object.entries(verdicts).map(([rpc, verdict]) => [`${service}/${rpc}`, verdict])),
  )
/** The same for every name of a list that is separated by spaces. */
const all = (verdict: Verdict, names: string): Readonly<Record<string, Verdict>> =>
  Object.fromEntries(
    names
      .trim()
      .split(/\s+/)
      .map((name) => [name, verdict]),
  )
const allOf = (verdict: Verdict, method: string, paths: string): Readonly<Record<string, Verdict>> =>
  Object.fromEntries(
    paths
      .trim()
      .split(/\s+/)
      .map((path) => [`${method} ${path}`, verdict]),
  )

export const LEDGER: readonly Section[] = [
  {
    title: 'Sockets',
    entries: [
      ...websockets({
        '/v1/websocket/provisioning/': done,
        '/v1/websocket/': done,
        'CDSI /v1/{mrenclave}/discovery': ENCLAVE,
        'SVR2 and SVRB /v1/{mrenclave}': ENCLAVE,
      }),
      ...rest({ 'GET /v1/keepalive': done, 'GET /v1/keepalive/provisioning': done }),
    ],
  },
  {
    title: 'Verification sessions',
    entries: rest({
      'POST /v1/verification/session': done,
      'PATCH /v1/verification/session/{sessionId}': done,
      'GET /v1/verification/session/{sessionId}': done,
      'POST /v1/verification/session/{sessionId}/code': done,
      'PUT /v1/verification/session/{sessionId}/code': done,
    }),
  },
  {
    title: 'Registration',
    entries: rest({
      'POST /v1/registration': done,
    }),
  },
  {
    title: 'Registration lock, SVR credentials',
    entries: rest({
      'PUT /v1/accounts/registration_lock': done,
      'DELETE /v1/accounts/registration_lock': done,
      'GET /v2/svr/auth': done,
      'POST /v2/svr/auth/check': done,
      // The names that today's libsignal still uses.
      'GET /v2/backup/auth': done,
      'POST /v2/backup/auth/check': done,
    }),
  },
  {
    title: 'Accounts',
    entries: [
      ...rest({
        'PUT /v1/accounts/attributes': done,
        'GET /v1/accounts/whoami': done,
        'PUT /v2/accounts/phone_number_discoverability': done,
        'GET /v2/accounts/data_report': done,
        'HEAD /v1/accounts/account/{serviceId}': done,
        'DELETE /v1/accounts/me': done,
        'PUT /v2/accounts/number': done,
      }),
      ...rpcs('org.signal.chat.account.Accounts', {
        GetAccountIdentity: done,
        GetEntitlements: done,
        DeleteAccount: done,
        SetRegistrationLock: done,
        ClearRegistrationLock: done,
        ReserveUsernameHash: done,
        ConfirmUsernameHash: done,
        DeleteUsernameHash: done,
        SetUsernameLink: done,
        DeleteUsernameLink: done,
        ConfigureUnidentifiedAccess: done,
        SetDiscoverableByPhoneNumber: done,
        SetRegistrationRecoveryPassword: done,
        SetZkCredentialKey: done,
        ChangeNumber: done,
        GetAccountDataReport: done,
        GetCapabilities: done,
        GenerateTotpKey: done,
        ConfirmTotpKey: done,
        ListTotpKeys: done,
        SetTotpKeyMetadata: done,
        RemoveTotpKey: done,
        ListMfaKeys: done,
        SetMfaKeyMetadata: done,
        RemoveMfaKey: done,
        StartMfaVerification: done,
        FinishMfaVerification: done,
      }),
      ...rpcs('org.signal.chat.account.AccountsAnonymous', {
        CheckAccountExistence: done,
        LookupUsernameHash: done,
        LookupUsernameLink: done,
        GetCapabilities: done,
      }),
    ],
  },
  {
    title: 'User names',
    entries: rest({
      'PUT /v1/accounts/username_hash/reserve': done,
      'PUT /v1/accounts/username_hash/confirm': done,
      'DELETE /v1/accounts/username_hash': done,
      'GET /v1/accounts/username_hash/{usernameHash}': done,
      'PUT /v1/accounts/username_link': done,
      'DELETE /v1/accounts/username_link': done,
      'GET /v1/accounts/username_link/{handle}': done,
    }),
  },
  {
    title: 'Devices and linking',
    entries: [
      ...rest({
        'GET /v1/devices': done,
        'DELETE /v1/devices/{deviceId}': done,
        'PUT /v1/accounts/name': done,
        'PUT /v1/devices/capabilities': done,
        'GET /v1/devices/provisioning/code': done,
        'PUT /v1/devices/link': done,
        'GET /v1/devices/wait_for_linked_device/{tokenIdentifier}': done,
        'PUT /v1/provisioning/{address}': done,
        'PUT /v1/devices/transfer_archive': done,
        'GET /v1/devices/transfer_archive': done,
        'PUT /v1/devices/restore_account/{token}': done,
        'GET /v1/devices/restore_account/{token}': done,
      }),
      ...rpcs(
        'org.signal.chat.device.Devices',
        all(done, 'GetDevices RemoveDevice SetDeviceName SetPushToken ClearPushToken SetCapabilities'),
      ),
    ],
  },
  {
    title: 'Push tokens',
    entries: rest({
      'PUT /v1/accounts/gcm': done,
      'DELETE /v1/accounts/gcm': done,
      'PUT /v1/accounts/apn': done,
      'DELETE /v1/accounts/apn': done,
    }),
  },
  {
    title: 'Pre-keys',
    entries: [
      ...rest({
        'GET /v2/keys': done,
        'PUT /v2/keys': done,
        'POST /v2/keys/check': done,
        'GET /v2/keys/{serviceId}/{device}': done,
      }),
      ...rpcs(
        'org.signal.chat.keys.Keys',
        all(
          done,
          `GetPreKeyCount GetPreKeys SetOneTimeEcPreKeys SetOneTimeKemSignedPreKeys SetEcSignedPreKey
           SetKemLastResortPreKey`,
        ),
      ),
      ...rpcs('org.signal.chat.keys.KeysAnonymous', {
        GetPreKeys: done,
        CheckIdentityKeys: done,
      }),
    ],
  },
  {
    title: 'Messages',
    entries: [
      ...rest({
        'PUT /v1/messages/{destination}': done,
        'PUT /v1/messages/multi_recipient': done,
        'POST /v1/messages/report/{source}/{guid}': done,
      }),
      ...rpcs('org.signal.chat.messages.Messages', {
        SendMessage: done,
        SendSyncMessage: done,
        GetMessages: done,
      }),
      ...rpcs('org.signal.chat.messages.MessagesAnonymous', {
        SendSingleRecipientMessage: done,
        SendMultiRecipientMessage: done,
        SendStory: done,
        SendMultiRecipientStory: done,
      }),
    ],
  },
  {
    title: 'Challenges',
    entries: [
      ...rest({
        'PUT /v1/challenge': done,
        'POST /v1/challenge/push': partly('goes to the console’s outbox; push itself is issue 7'),
      }),
      ...rpcs('org.signal.chat.challenge.Challenge', {
        HandleChallengeResponse: done,
      }),
    ],
  },
  {
    title: 'Credentials and certificates',
    entries: [
      ...rest({
        'GET /v1/certificate/delivery': done,
        'GET /v1/certificate/auth/group': done,
        'POST /v1/call-link/create-auth': done,
        'GET /v1/storage/auth': done,
        'GET /v2/directory/auth': done,
      }),
      ...rpcs(
        'org.signal.chat.credentials.Credentials',
        all(
          done,
          `GetExternalServiceCredentials GetDeliveryCertificate GetGroupCredentials
           GetCreateCallLinkCredentials`,
        ),
      ),
      ...rpcs('org.signal.chat.credentials.CredentialsAnonymous', all(done, 'CheckSvrCredentials')),
    ],
  },
  {
    title: 'Profiles',
    entries: [
      ...rest({
        'PUT /v1/profile': done,
        'GET /v1/profile/{serviceId}': done,
        'GET /v1/profile/{aci}/{version}': done,
        'GET /v1/profile/{aci}/{version}/{credentialRequest}': done,
        'POST /v1/profile/identity_check/batch': done,
      }),
      ...rpcs('org.signal.chat.profile.Profile', {
        SetProfile: done,
        GetProfile: done,
        GetAvatarCredentials: done,
        SetV1Avatar: done,
      }),
      ...rpcs('org.signal.chat.profile.ProfileAnonymous', {
        GetProfile: done,
        GetExpiringProfileKeyCredential: done,
        GetAvatarUploadForm: done,
        ExtendAvatarTTL: done,
        DeleteAvatar: done,
      }),
    ],
  },
  {
    title: 'Calls',
    entries: [
      ...rest({ 'GET /v2/calling/relays': done, 'PUT /v1/call_quality_survey': done }),
      ...rpcs('org.signal.chat.calling.Calling', all(done, 'GetCallingRelays')),
      ...rpcs('org.signal.chat.calling.quality.CallQuality', all(done, 'SubmitCallQualitySurvey')),
      ...otherHosts({
        'GET /v2/conference/participants': SFU,
        'PUT /v2/conference/participants': SFU,
        'GET /v1/call-link': SFU,
        'PUT /v1/call-link': SFU,
        'DELETE /v1/call-link': SFU,
      }),
    ],
  },
  {
    title: 'Attachments and stickers',
    entries: [
      ...rest({
        'GET /v4/attachments/form/upload': done,
        'GET /v1/sticker/pack/form/{count}': done,
      }),
      ...rpcs('org.signal.chat.attachments.Attachments', all(done, 'GetUploadForm GetStickerUploadForm')),
      ...otherHosts({
        'CDN 0: forms, avatars and stickers': done,
        'CDN 2: resumable uploads, downloads': done,
        'CDN 3: TUS uploads, downloads, backups': done,
      }),
    ],
  },
  {
    title: 'Backups',
    entries: [
      ...rest({
        'PUT /v1/archives/backupid': done,
        'GET /v1/archives/backupid/limits': done,
        'POST /v1/archives/redeem-receipt': done,
        'GET /v1/archives/auth': done,
        'PUT /v1/archives/keys': done,
        'GET /v1/archives/auth/read': done,
        'GET /v1/archives/auth/svrb': done,
        'GET /v1/archives': done,
        'POST /v1/archives': done,
        'DELETE /v1/archives': done,
        'GET /v1/archives/upload/form': done,
        'GET /v1/archives/media/upload/form': done,
        'PUT /v1/archives/media': done,
        'PUT /v1/archives/media/batch': done,
        'GET /v1/archives/media': done,
        'POST /v1/archives/media/delete': done,
        ...allOf(never('Apple’s device check'), 'GET', '/v1/devicecheck/attest /v1/devicecheck/assert'),
        'PUT /v1/devicecheck/attest': never('Apple’s device check'),
        'POST /v1/devicecheck/assert': never('Apple’s device check'),
      }),
      ...rpcs('org.signal.chat.backup.Backups', {
        SetBackupId: done,
        RedeemReceipt: done,
        GetBackupAuthCredentials: done,
      }),
      ...rpcs('org.signal.chat.backup.BackupsAnonymous', {
        ...all(
          done,
          `GetCdnCredentials GetSvrBCredentials GetMessageBackupInfo GetMediaBackupInfo SetPublicKey Refresh
           GetUploadForm DeleteAll`,
        ),
        CopyMedia: done,
        ListMedia: done,
        DeleteMedia: done,
      }),
    ],
  },
  {
    title: 'Remote configuration',
    entries: [
      ...rest({ 'GET /v2/config': done }),
      ...rpcs(
        'org.signal.chat.remoteconfiguration.RemoteConfiguration',
        all(done, 'GetConfiguration GetBadges'),
      ),
    ],
  },
  {
    title: 'Key transparency',
    entries: [
      ...rest({
        'POST /v1/key-transparency/search': NO_LOG,
        'POST /v1/key-transparency/monitor': NO_LOG,
        'GET /v1/key-transparency/distinguished': NO_LOG,
      }),
      ...rpcs('kt_query.KeyTransparencyQueryService', all(NO_LOG, 'DistinguishedV2 SearchV2 MonitorV2')),
    ],
  },
  {
    title: 'Money',
    entries: [
      ...rest({
        ...allOf(MONEY, 'GET', '/v1/payments/auth /v1/payments/conversions'),
        ...allOf(MONEY, 'POST', '/v1/donation/redeem-receipt /v1/donation/permit'),
        'GET /v1/subscription/configuration': done,
        'PUT /v1/subscription/{subscriberId}': MONEY,
        'DELETE /v1/subscription/{subscriberId}': MONEY,
        'PUT /v1/subscription/{subscriberId}/level/{level}/{currency}/{idempotencyKey}': MONEY,
        ...allOf(MONEY, 'GET', '/v1/subscription/{subscriberId} /v1/subscription/bank_mandate/{type}'),
        ...allOf(
          MONEY,
          'POST',
          `/v1/subscription/{subscriberId}/create_payment_method
           /v1/subscription/{subscriberId}/create_payment_method/paypal
           /v1/subscription/{subscriberId}/default_payment_method/{processor}/{token}
           /v1/subscription/{subscriberId}/default_payment_method_for_ideal/{setupIntent}
           /v1/subscription/{subscriberId}/receipt_credentials
           /v1/subscription/{subscriberId}/appstore/{transaction}
           /v1/subscription/{subscriberId}/playbilling/{token}
           /v1/subscription/boost/create
           /v1/subscription/boost/paypal/create
           /v1/subscription/boost/paypal/confirm
           /v1/subscription/boost/receipt_credentials
           /v1/login-purchase/receipt_credentials`,
        ),
      }),
      ...rpcs('org.signal.chat.payments.Payments', all(MONEY, 'GetCurrencyConversions')),
      ...rpcs('org.signal.chat.donations.Donations', all(MONEY, 'RedeemReceipt CreateDonationPermit')),
      ...rpcs('org.signal.chat.purchase.ProductConfiguration', all(MONEY, 'GetConfiguration')),
      ...rpcs(
        'org.signal.chat.purchase.OneTimeDonations',
        all(MONEY, 'CreateBoost CreatePayPalBoost ConfirmPayPalBoost CreateBoostReceiptCredentials'),
      ),
      ...rpcs('org.signal.chat.purchase.LoginPurchase', { CreateLoginReceiptCredential: done }),
      ...rpcs(
        'org.signal.chat.purchase.Subscriptions',
        all(
          MONEY,
          `UpdateSubscriber DeleteSubscriber CreatePaymentMethod CreatePayPalPaymentMethod
           SetDefaultPaymentMethod SetSubscriptionLevel SetIapSubscription GetReceiptCredentials
           GetSubscriptionInformation GetBankMandate`,
        ),
      ),
    ],
  },
  {
    title: 'Storage service',
    entries: rest({
      'GET /v1/storage/manifest': done,
      'GET /v1/storage/manifest/version/{version}': done,
      'PUT /v1/storage': done,
      'PUT /v1/storage/read': done,
      'DELETE /v1/storage': done,
      'GET /v2/groups': done,
      'PUT /v2/groups': done,
      'PATCH /v2/groups': done,
      'GET /v2/groups/joined_at_version': done,
      'GET /v2/groups/logs/{fromVersion}': done,
      'GET /v2/groups/join/{inviteLinkPassword}': done,
      'GET /v2/groups/join': done,
      'GET /v2/groups/avatar/form': done,
      'GET /v2/groups/token': done,
    }),
  },
  {
    title: 'Of our own',
    entries: rest({
      'GET /v1/heliograph/push/web': done,
      'PUT /v1/heliograph/push/web': done,
      'DELETE /v1/heliograph/push/web': done,
      'POST /v1/heliograph/push': done,
      'GET /v1/heliograph/push/health': done,
      'GET /v1/heliograph/discovery': done,
      'POST /v1/heliograph/discovery': done,
      'GET /invite/{code}': done,
      'POST /invite/{code}': done,
      'GET /captcha/registration': done,
      'GET /captcha/challenge': done,
      'GET /registration/generate.html': done,
      'GET /challenge/generate.html': done,
      'GET /captcha/widget': done,
      'POST /captcha/answer': done,
      'POST /captcha/puzzles': done,
      'POST /captcha/solutions': done,
      'GET /captcha/pictures/{challenge}': done,
      'GET /captcha/sounds/{challenge}': done,
      'GET /captcha/assets/{version}/{name}': done,
      'GET /captcha/api.js': done,
      'POST /siteverify': done,
      'POST /v1/heliograph/verification/deliveries/{delivery}': done,
    }),
  },
  {
    title: 'What clients still ask for, and Signal no longer has',
    entries: otherHosts({
      'GET /v1/config': REMOVED,
      'GET /v3/backup/auth': REMOVED,
      'PUT /v2/accounts/phone_number_identity_key_distribution': REMOVED,
      'PUT /v1/devices/unauthenticated_delivery': REMOVED,
      '/v1/groups/*': REMOVED,
      'updates.signal.org': never('programs are updated from where they came'),
    }),
  },
]

export const ENTRIES: readonly Entry[] = LEDGER.flatMap(({ entries }) => entries)
