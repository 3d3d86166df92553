// Who gets what: for every route, the answer to its example from each sort of caller. A route without a row does not compile.
import type { ROUTES } from '../../wire/routes.ts'

type Capability = keyof typeof ROUTES
export type RouteName = {
  [C in Capability]: `${C}.${keyof (typeof ROUTES)[C] & string}`
}[Capability]

/** A status, or those of which any may come. */
export type Answer = number | readonly number[]

/**
 * `none`: no credentials. `wrong`: a device with another's password. `own`: the account's primary device. `linked`: its
 * second device. `other`: somebody else's device, naming this account's things. `key`: nobody, with the access key of who
 * is asked about. `badKey`: nobody, with a key that is not theirs.
 */
export const CALLERS = ['none', 'wrong', 'own', 'linked', 'other', 'key', 'badKey'] as const
export type Caller = (typeof CALLERS)[number]
export type Row = Readonly<Record<Caller, Answer>>

/** A route of devices: strangers are 401, whatever key they hold. */
const device = (own: Answer, exceptions: Partial<Row> = {}): Row => ({
  none: 401,
  wrong: 401,
  own,
  linked: own,
  other: own,
  key: 401,
  badKey: 401,
  ...exceptions,
})

/** A route that forbids credentials. */
const anonymous = (stranger: Answer, exceptions: Partial<Row> = {}): Row => ({
  none: stranger,
  wrong: 400,
  own: 400,
  linked: 400,
  other: 400,
  key: stranger,
  badKey: stranger,
  ...exceptions,
})

/** A route that does not look at credentials. */
const open = (anybody: Answer): Row => ({
  none: anybody,
  wrong: anybody,
  own: anybody,
  linked: anybody,
  other: anybody,
  key: anybody,
  badKey: anybody,
})

/** A sealed message or a profile: devices, and who has the right key. */
const reach = (reached: Answer, exceptions: Partial<Row> = {}): Row =>
  device(reached, { key: reached, ...exceptions })

export const AUTHORISATION: Readonly<Record<RouteName, Row>> = {
  'accounts.whoami': device(200),
  'accounts.setAttributes': device(204),
  'accounts.setDiscoverability': device(204),
  'accounts.dataReport': device(200),
  'accounts.delete': device(204),
  'accounts.exists': anonymous(200),
  'attachments.form': device(200),
  'attachments.stickers': device(200),
  'backups.setBackupId': device(204, { linked: 403 }),
  'backups.limits': device(200),
  // The example's presentation is none.
  'backups.redeemReceipt': device(400),
  'backups.credentials': device(200),
  // The key to be set is not the one that signed.
  'backups.setPublicKey': anonymous(401),
  // The examples show a credential for media, signed by the backup's key.
  'backups.readAuth': anonymous(200),
  'backups.svrbAuth': anonymous(403),
  'backups.info': anonymous(200),
  'backups.refresh': anonymous(204),
  'backups.deleteAll': anonymous(204),
  'backups.messagesForm': anonymous(403),
  'backups.mediaForm': anonymous(200),
  'backups.copyMedia': anonymous(410),
  'backups.copyMediaBatch': anonymous(207),
  'backups.listMedia': anonymous(200),
  'backups.deleteMedia': anonymous(204),
  'calling.relays': device(200),
  // Who says how a call went may not say who they are: 403 here, not 400 (signal-api §2.17).
  'calling.survey': anonymous(204, { wrong: 403, own: 403, linked: 403, other: 403 }),
  'captcha.registration': open(200),
  'captcha.challenge': open(200),
  'captcha.registrationAtSignal': open(200),
  'captcha.challengeAtSignal': open(200),
  // The examples name no site and no challenge that there is.
  'captcha.widget': open(403),
  'captcha.answer': open(403),
  'captcha.puzzle': open(403),
  'captcha.solve': open(403),
  'captcha.picture': open(404),
  'captcha.sound': open(404),
  'captcha.asset': open(404),
  'captcha.api': open(200),
  'captcha.verify': open(200),
  // The example is no captcha of ours.
  'challenges.answer': device(400),
  // The caller's own number with keys for one of two devices; somebody else's, too soon after registration.
  'changeNumber.change': device(409, { linked: 403, other: 429 }),
  // No device has a push token.
  'challenges.requestPush': device(404),
  'configuration.get': device(200),
  'configuration.products': open(200),
  'credentials.deliveryCertificate': device(200),
  'credentials.groupCredentials': device(200),
  'credentials.createCallLink': device(200),
  'credentials.storageAuth': device(200),
  'credentials.directoryAuth': device(200),
  'credentials.svrAuth': device(200),
  'credentials.svrAuthOldPath': device(200),
  'credentials.svrCheck': open(200),
  'credentials.svrCheckOldPath': open(200),
  'devices.list': device(200),
  // A linked device may remove and rename itself alone; the examples name another.
  'devices.remove': device(204, { linked: 401 }),
  'devices.rename': device(204, { linked: 403 }),
  'devices.setCapabilities': device(204),
  'devices.setFcmToken': device(204),
  'devices.clearFcmToken': device(204),
  'devices.setApnToken': device(204),
  'devices.clearApnToken': device(204),
  'discovery.find': device(200),
  'discovery.policy': device(200),
  // Credentials of groups are shown for a group; a device's are none (test/security/groups.test.ts has the others).
  'groups.get': device(401),
  'groups.create': device(401),
  'groups.change': device(401),
  'groups.joinedAtVersion': device(401),
  'groups.logs': device(401),
  'groups.joinInfo': device(401),
  'groups.joinInfoOfRequester': device(401),
  'groups.avatarForm': device(401),
  'groups.token': device(401),
  // Inside sockets only.
  // Nobody was invited.
  'invites.page': open(404),
  'invites.takeDigits': open(404),
  'keepalive.keepalive': open(404),
  'keys.count': device(200),
  // The keys are signed by the account's identity: somebody else's they are not.
  'keys.store': device(200, { other: 422 }),
  'keys.check': device(409),
  'keys.take': reach(200),
  'linking.token': device(200, { linked: 401 }),
  // The credentials are the new device's password; the token in the body is what proves.
  'linking.link': { ...open(200), none: 401, key: 401, badKey: 401 },
  'linking.waitForLinked': device(204, { linked: 400 }),
  'linking.putArchive': device(204),
  // Each has an archive of its own: only that of the first device is there.
  'linking.waitForArchive': device(204, { own: 200 }),
  'linking.putRestoreRequest': open(204),
  'linking.waitForRestoreRequest': open(200),
  'messages.send': reach(200),
  'messages.sendToMany': { ...anonymous(401), key: 200 },
  'profiles.set': device(200),
  'profiles.find': reach(200),
  'profiles.read': reach(200),
  'profiles.readWithCredential': reach(200),
  'reports.report': device(202),
  'profiles.checkIdentities': open(200),
  // Nobody waits at that address.
  'provisioning.send': device(404),
  'provisioning.keepalive': open(404),
  // The credentials are the number and the new password: those of a device are no number.
  'registration.register': { ...open(400), none: 401, key: 401, badKey: 401 },
  'registrationLock.set': device(204),
  'registrationLock.clear': device(204),
  // Its credentials are of its own sort: a device's are none (test/conformance/storage-records.test.ts has the others).
  'devices.webPushKey': device(200),
  'devices.setWebPush': device(204),
  'devices.clearWebPush': device(204),
  'push.push': open(401),
  'push.health': open(401),
  'storageRecords.manifest': device(401),
  'storageRecords.newerManifest': device(401),
  'storageRecords.write': device(401),
  'storageRecords.read': device(401),
  'storageRecords.clear': device(401),
  'usernames.reserve': device(200),
  // The example's name was not reserved.
  'usernames.confirm': device(409),
  'usernames.delete': device(204),
  'usernames.lookup': anonymous(404),
  // Without a username there is nothing to link to.
  'usernames.setLink': device(409),
  'usernames.deleteLink': device(204),
  'usernames.lookupLink': anonymous(404),
  'verification.create': open(200),
  'verification.get': open(200),
  'verification.update': open(200),
  'verification.requestCode': open(200),
  'verification.submitCode': open(409),
  'verification.report': open(403),
}

/** Who may call an RPC; the device that may not is refused with BAD_AUTHENTICATION. */
export type RpcCallers = 'any device' | 'the primary device' | 'nobody known'

const all = (callers: RpcCallers, names: string): Readonly<Record<string, RpcCallers>> =>
  Object.fromEntries(
    names
      .trim()
      .split(/\s+/)
      .map((name) => [name, callers]),
  )

/** By service and name. */
export const RPC_AUTHORISATION: Readonly<Record<string, Readonly<Record<string, RpcCallers>>>> = {
  'org.signal.chat.account.Accounts': {
    ...all(
      'any device',
      `GetAccountIdentity GetEntitlements DeleteAccount SetRegistrationLock ClearRegistrationLock
       ReserveUsernameHash ConfirmUsernameHash DeleteUsernameHash SetUsernameLink DeleteUsernameLink
       ConfigureUnidentifiedAccess SetDiscoverableByPhoneNumber SetRegistrationRecoveryPassword
       SetZkCredentialKey GetAccountDataReport GetCapabilities GenerateTotpKey ConfirmTotpKey ListTotpKeys
       SetTotpKeyMetadata RemoveTotpKey ListMfaKeys SetMfaKeyMetadata RemoveMfaKey StartMfaVerification
       FinishMfaVerification StartWebAuthnRegistration FinishWebAuthnRegistration`,
    ),
    ChangeNumber: 'the primary device',
  },
  'org.signal.chat.account.AccountsAnonymous': all(
    'nobody known',
    'CheckAccountExistence LookupUsernameHash LookupUsernameLink GetCapabilities',
  ),
  'org.signal.chat.attachments.Attachments': all('any device', 'GetUploadForm GetStickerUploadForm'),
  'org.signal.chat.backup.Backups': {
    SetBackupId: 'the primary device',
    RedeemReceipt: 'any device',
    GetBackupAuthCredentials: 'any device',
  },
  'org.signal.chat.backup.BackupsAnonymous': all(
    'nobody known',
    `GetCdnCredentials GetSvrBCredentials GetMessageBackupInfo GetMediaBackupInfo SetPublicKey Refresh
     GetUploadForm CopyMedia ListMedia DeleteMedia DeleteAll`,
  ),
  'org.signal.chat.calling.Calling': all('any device', 'GetCallingRelays'),
  'org.signal.chat.purchase.LoginPurchase': all('nobody known', 'CreateLoginReceiptCredential'),
  'org.signal.chat.calling.quality.CallQuality': all('nobody known', 'SubmitCallQualitySurvey'),
  'org.signal.chat.challenge.Challenge': all('any device', 'HandleChallengeResponse'),
  'org.signal.chat.credentials.Credentials': all(
    'any device',
    `GetExternalServiceCredentials GetDeliveryCertificate GetGroupCredentials
     GetCreateCallLinkCredentials`,
  ),
  'org.signal.chat.credentials.CredentialsAnonymous': all('nobody known', 'CheckSvrCredentials'),
  'org.signal.chat.device.Devices': all(
    'any device',
    'GetDevices RemoveDevice SetDeviceName SetPushToken ClearPushToken SetCapabilities',
  ),
  'org.signal.chat.keys.Keys': all(
    'any device',
    `GetPreKeyCount GetPreKeys SetOneTimeEcPreKeys SetOneTimeKemSignedPreKeys SetEcSignedPreKey
     SetKemLastResortPreKey`,
  ),
  'org.signal.chat.keys.KeysAnonymous': all('nobody known', 'GetPreKeys CheckIdentityKeys'),
  'org.signal.chat.messages.Messages': all('any device', 'SendMessage SendSyncMessage GetMessages'),
  'org.signal.chat.messages.MessagesAnonymous': all(
    'nobody known',
    'SendSingleRecipientMessage SendMultiRecipientMessage SendStory SendMultiRecipientStory',
  ),
  'org.signal.chat.profile.Profile': all(
    'any device',
    'SetProfile GetProfile GetAvatarCredentials SetV1Avatar',
  ),
  'org.signal.chat.profile.ProfileAnonymous': all(
    'nobody known',
    'GetProfile GetExpiringProfileKeyCredential GetAvatarUploadForm ExtendAvatarTTL DeleteAvatar',
  ),
  'org.signal.chat.remoteconfiguration.RemoteConfiguration': all('any device', 'GetConfiguration GetBadges'),
}
