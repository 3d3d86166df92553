// Signal's limiters and their values (docs/protocol), as data. An operator overrides them by `limits.<name>` in the configuration.

/** What a bucket belongs to, for documents: the caller builds the key. */
export type LimiterKey =
  | 'aci'
  | 'ip'
  | 'number'
  | 'session'
  | 'invite'
  | 'device'
  | 'backup-user'
  | 'avatar-identity'
  | 'requester × target device × registration id'
  | 'source__destination'
  | 'destination'

export type Limiter = {
  readonly key: LimiterKey
  /** Permits of a full bucket. */
  readonly bucket: number
  readonly secondsPerPermit: number
  /** When the store fails: true lets the call pass, false refuses it as unavailable. */
  readonly failOpen: boolean
}

const SECOND = 1
const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

const open = (key: LimiterKey, bucket: number, secondsPerPermit: number): Limiter => ({
  key,
  bucket,
  secondsPerPermit,
  failOpen: true,
})
const closed = (key: LimiterKey, bucket: number, secondsPerPermit: number): Limiter => ({
  key,
  bucket,
  secondsPerPermit,
  failOpen: false,
})

export const LIMITERS = {
  backupAuthCheck: open('ip', 100, 15 * MINUTE),
  pin: closed('number', 10, DAY),
  attachmentCreate: open('aci', 50, 1.2 * SECOND),
  /** Permits are bytes. */
  attachmentCreateBytes: open('aci', 1_000_000_000, 1e-6),
  backupAttachmentCreate: open('backup-user', 10_000, SECOND),
  prekeys: closed('requester × target device × registration id', 6, 10 * MINUTE),
  messages: open('source__destination', 60, SECOND),
  stories: open('destination', 5000, 8 * SECOND),
  allocateDevice: closed('aci', 6, 2 * MINUTE),
  verifyDevice: closed('aci', 6, 2 * MINUTE),
  profile: open('aci', 4320, 20 * SECOND),
  /** Permits are bytes. */
  profileAvatarBytes: open('avatar-identity', 104_857_600, 1e-5),
  stickerPack: closed('aci', 50, 72 * MINUTE),
  usernameLookup: open('ip', 100, 15 * MINUTE),
  usernameSet: closed('aci', 100, 15 * MINUTE),
  usernameReserve: closed('aci', 100, 15 * MINUTE),
  usernameLinkOperation: closed('aci', 10, MINUTE),
  usernameLinkLookupPerIp: open('ip', 100, 15 * SECOND),
  checkAccountExistence: open('ip', 1000, 4 * SECOND),
  registration: closed('number', 6, 30 * SECOND),
  setZkCredentialKey: closed('aci', 5, 7 * DAY),
  verificationPushChallenge: closed('session', 5, 30 * SECOND),
  verificationCaptcha: closed('session', 10, 30 * SECOND),
  rateLimitReset: closed('aci', 2, 12 * HOUR),
  captchaChallengeAttempt: closed('aci', 10, 144 * MINUTE),
  captchaChallengeSuccess: closed('aci', 2, 12 * HOUR),
  pushChallengeAttempt: closed('aci', 10, 144 * MINUTE),
  pushChallengeSuccess: closed('aci', 2, 12 * HOUR),
  setBackupId: closed('aci', 10, HOUR),
  setPaidMediaBackupId: closed('aci', 5, 7 * DAY),
  getCallingRelays: closed('aci', 100, 10 * MINUTE),
  createCallLink: closed('aci', 100, 15 * MINUTE),
  /** Permits are bytes. */
  inboundMessageBytes: open('destination', 134_217_728, 0.0005),
  externalServiceCredentials: closed('aci', 100, 15 * MINUTE),
  keyTransparencyDistinguished: open('ip', 100, 15 * SECOND),
  keyTransparencySearch: open('ip', 100, 15 * SECOND),
  keyTransparencyMonitor: open('ip', 100, 15 * SECOND),
  waitForLinkedDevice: closed('aci', 10, 30 * SECOND),
  uploadTransferArchive: closed('aci', 10, MINUTE),
  waitForTransferArchive: closed('device', 10, 30 * SECOND),
  recordDeviceTransferRequest: open('ip', 10, 0.1),
  waitForDeviceTransferRequest: open('ip', 10, 0.1),
  deviceCheckChallenge: closed('aci', 10, MINUTE),
  submitCallQualitySurvey: open('ip', 100, MINUTE),
  batchIdentityCheck: open('ip', 100, MINUTE),
  createDonationCredential: open('aci', 30, 4 * HOUR),
  oneTimeDonation: open('ip', 5, MINUTE),
  addSubscriptionPaymentMethod: open('ip', 10, MINUTE),
  checkTotp: closed('aci', 5, 6 * SECOND),
  // Ours: Signal's registration service, which has this one, publishes no figures.
  verificationSession: closed('number', 10, 2 * MINUTE),
  // Ours: six digits that an invite gives, and looks at its page.
  inviteCode: closed('invite', 10, 10 * MINUTE),
  invitePage: closed('ip', 60, 10 * SECOND),
  // Ours: Signal's directory counts in its enclave. Permits are phone numbers that were not asked for within a day.
  discovery: closed('aci', 50, 30 * MINUTE),
  discoveryBatch: closed('aci', 5000, 43.2 * SECOND),
  // Ours: the captcha's pages and what their scripts ask. A riddle is a picture or a sound, which machines read too.
  captchaPuzzle: closed('ip', 30, 10 * SECOND),
  captchaRiddle: closed('ip', 12, MINUTE),
  captchaRender: closed('ip', 60, 5 * SECOND),
  captchaAnswer: closed('ip', 60, 5 * SECOND),
  /** Questions about tokens that show no secret of a site. */
  captchaSecret: closed('ip', 20, 10 * SECOND),
} as const satisfies Record<string, Limiter>

export type LimiterName = keyof typeof LIMITERS
export const LIMITER_NAMES = Object.keys(LIMITERS) as LimiterName[]
