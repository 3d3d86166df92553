// What a route takes gladly, so that a fuzzer can spoil one thing at a time and reach what lies behind.
import { randomBytes, randomUUID } from 'node:crypto'
import {
  BackupAuthCredentialRequestContext,
  CreateCallLinkCredentialRequestContext,
  ProfileKey,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Ready } from '../../server/up.ts'
import { SubmitCallQualitySurveyRequest } from '../../wire/gen/call_quality.js'
import { ReadOperation, WriteOperation } from '../../wire/gen/storage.js'
import type { NamedRoute } from '../../wire/routes.ts'
import type { ServiceId } from '../../wire/types.ts'
import { zkHeaders } from '../client/backup-owner.ts'
import { basic } from '../client/https.ts'
import { base64, ecJson, makeOneTimeKeys, signedJson } from '../client/identity-keys.ts'
import { linkBody, newKeysOf } from '../client/linked-device.ts'
import { fullProfile, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { messageFor } from '../client/raw-message.ts'
import type { Registered } from '../client/register.ts'
import { registrationBody } from '../client/registration-body.ts'
import { multiRecipientMessage } from '../multi-recipient-message.ts'
import { nameOf } from '../username.ts'
import type { SampleGroup } from './sample-group.ts'

export type Example = {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

export type Cast = {
  /** Who asks. */
  readonly own: Registered
  /** Who is asked about. */
  readonly other: Registered
  /** A verification session that is open. */
  readonly sessionId: string
  readonly ready: Ready
  /** A backup of somebody's, as the one shows it who may use it. */
  readonly backup: Parameters<typeof zkHeaders>[0]
  /** Lets one device onto the account of `own`; empty if that has as many as it may. */
  readonly linkToken: string
  /** The identifier of a token by which a device was linked to the account of `own`. */
  readonly usedTokenId: string
  /** For the encrypted records of `own`. */
  readonly storageAuthorization: string
  readonly sampleGroup: SampleGroup
}

export const RESTORE_TOKEN = 'a restore token'
const RECORD_KEY = new Uint8Array(16)
export const restoreRequest = { method: 'REMOTE_BACKUP', deviceTransferBootstrap: 'AAAA' }
export const archiveFor = ({ deviceId, keys }: Registered) => ({
  destinationDeviceId: deviceId,
  destinationDeviceRegistrationId: keys.aci.registrationId,
  transferArchive: { cdn: 3, key: 'a_key' },
})

const attributes = {
  fetchesMessages: true,
  capabilities: { spqr: true },
  unrestrictedUnidentifiedAccess: true,
}

const name = nameOf('somebody')
const usernameHash = () => randomBytes(32).toString('base64url')
const profileKeysOf = ({ aci }: Registered) => new ProfileKeys(aci, new ProfileKey(new Uint8Array(32)))

const survey = () =>
  SubmitCallQualitySurveyRequest.encode({
    startTimestamp: 1,
    endTimestamp: 2,
    callType: 'direct_voice',
    callEndReason: 'local_hangup',
  }).finish()

const svrCheck = ({ own }: Cast) => ({ number: own.number, tokens: ['a:1:b'] })

const today = Math.floor(Date.now() / 86_400_000) * 86_400

const backupRequest = ({ own }: Cast) =>
  Buffer.from(
    BackupAuthCredentialRequestContext.create(new Uint8Array(randomBytes(32)), own.aci.getServiceIdString())
      .getRequest()
      .serialize(),
  ).toString('base64')

const base64Url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const mediaId = () => randomBytes(15).toString('base64url')
const copyMedia = () => ({
  sourceAttachment: { cdn: 3, key: mediaId() },
  objectLength: 100,
  mediaId: mediaId(),
  hmacKey: randomBytes(32).toString('base64'),
  encryptionKey: randomBytes(32).toString('base64'),
})

const BODIES: Readonly<Record<string, (cast: Cast) => unknown>> = {
  'accounts.setAttributes': () => ({ ...attributes, name: randomBytes(40).toString('base64') }),
  'accounts.setDiscoverability': () => ({ discoverableByPhoneNumber: true }),
  'backups.setBackupId': (cast) => ({
    messagesBackupAuthCredentialRequest: backupRequest(cast),
    mediaBackupAuthCredentialRequest: backupRequest(cast),
  }),
  'backups.redeemReceipt': () => ({ receiptCredentialPresentation: randomBytes(329).toString('base64') }),
  'backups.setPublicKey': ({ own }) => ({
    backupIdPublicKey: Buffer.from(own.keys.aci.pair.publicKey.serialize()).toString('base64'),
  }),
  'backups.copyMedia': copyMedia,
  'backups.copyMediaBatch': () => ({ items: [copyMedia(), copyMedia()] }),
  'backups.deleteMedia': () => ({ mediaToDelete: [{ cdn: 3, mediaId: mediaId() }] }),
  'calling.survey': survey,
  'credentials.createCallLink': () => ({
    createCallLinkCredentialRequest: Buffer.from(
      CreateCallLinkCredentialRequestContext.forRoomId(new Uint8Array(32)).getRequest().serialize(),
    ).toString('base64'),
  }),
  'credentials.svrCheck': svrCheck,
  'credentials.svrCheckOldPath': svrCheck,
  'devices.rename': () => ({ deviceName: randomBytes(40).toString('base64') }),
  'devices.setFcmToken': () => ({ gcmRegistrationId: 'a token' }),
  'devices.setApnToken': () => ({ apnRegistrationId: 'a token' }),
  'devices.setCapabilities': () => ({ storage: true, spqr: false }),
  'discovery.find': ({ other }) => ({
    // Nobody's: an answer tells what was asked.
    numbers: ['+12025550123'],
    accessKeys: [{ aci: other.aci.getServiceIdString(), accessKey: randomBytes(16).toString('base64') }],
  }),
  'groups.create': ({ sampleGroup }) => sampleGroup.group,
  'groups.change': ({ sampleGroup }) => sampleGroup.change,
  'keys.store': ({ own }) => {
    const { pair, signedPreKey, lastResortPreKey } = own.keys.aci
    const oneTime = makeOneTimeKeys(pair, 2)
    return {
      preKeys: oneTime.ec.map(ecJson),
      signedPreKey: signedJson(signedPreKey),
      pqPreKeys: oneTime.kyber.map(signedJson),
      pqLastResortPreKey: signedJson(lastResortPreKey),
    }
  },
  'keys.check': () => ({ identityType: 'ACI', digest: randomBytes(32).toString('base64') }),
  'linking.link': ({ own, linkToken }) => linkBody(linkToken, newKeysOf(own)),
  'linking.putArchive': ({ own }) => archiveFor(own),
  'linking.putRestoreRequest': () => restoreRequest,
  'provisioning.send': () => ({ body: randomBytes(40).toString('base64') }),
  'messages.send': ({ other }) => ({ ...messageFor(other), online: false, urgent: true }),
  'registrationLock.set': () => ({ registrationLock: 'ab'.repeat(32) }),
  'profiles.set': ({ own }) => profileBody(profileKeysOf(own), fullProfile({ avatar: true })),
  'profiles.checkIdentities': ({ other }) => ({
    elements: [{ uuid: other.aci.getServiceIdString(), fingerprint: 'AAAAAA==' }],
  }),
  'captcha.answer': () => ({ challenge: randomBytes(200).toString('base64url'), answer: 'AAAAAA' }),
  'captcha.puzzle': () => ({ siteKey: 'website', action: 'login', origin: 'https://www.example.org' }),
  'captcha.solve': () => ({ challenge: randomBytes(200).toString('base64url'), key: 'AAAA' }),
  'captcha.verify': () => ({ secret: 'a secret', response: 'a token', remoteip: '192.0.2.1' }),
  'challenges.answer': () => ({ type: 'captcha', token: 'any', captcha: 'x', challenge: 'y' }),
  'messages.sendToMany': ({ other }) =>
    multiRecipientMessage([
      { id: other.aci.getServiceIdString() as ServiceId, devices: [[1, other.keys.aci.registrationId]] },
    ]),
  'changeNumber.change': ({ own, sessionId }) => ({
    sessionId,
    number: own.number,
    reglock: 'ab'.repeat(32),
    pniIdentityKey: base64(own.keys.pni.pair.publicKey.serialize()),
    deviceMessages: [],
    devicePniSignedPrekeys: { 1: signedJson(own.keys.pni.signedPreKey) },
    devicePniPqLastResortPrekeys: { 1: signedJson(own.keys.pni.lastResortPreKey) },
    pniRegistrationIds: { 1: 7 },
  }),
  'registration.register': ({ sessionId }) => registrationBody(sessionId),
  'devices.setWebPush': () => ({ endpoint: 'https://push.example.org/a' }),
  'push.push': () => ({
    pushes: [{ to: { service: 'fcm', token: 'a' }, notice: { kind: 'message', urgent: true } }],
  }),
  'storageRecords.write': () =>
    WriteOperation.encode({
      manifest: { version: 1, value: randomBytes(40) },
      insertItem: [{ key: RECORD_KEY, value: randomBytes(100) }],
      deleteKey: [randomBytes(16)],
    }).finish(),
  'storageRecords.read': () => ReadOperation.encode({ readKey: [RECORD_KEY] }).finish(),
  'usernames.reserve': () => ({ usernameHashes: [usernameHash(), usernameHash()] }),
  'usernames.confirm': () => ({
    usernameHash: Buffer.from(name.hash).toString('base64url'),
    zkProof: Buffer.from(name.proof).toString('base64url'),
    encryptedUsername: randomBytes(50).toString('base64url'),
  }),
  'usernames.setLink': () => ({
    usernameLinkEncryptedValue: randomBytes(50).toString('base64url'),
    keepLinkHandle: true,
  }),
  'invites.takeDigits': () => ({ number: '+12025550199' }),
  'verification.create': () => ({ number: '+12025550199', mcc: '310', mnc: '26' }),
  'verification.update': () => ({ captcha: 'x', pushToken: 'y', pushTokenType: 'fcm' }),
  'verification.requestCode': () => ({ transport: 'sms', client: 'android-ng' }),
  'verification.submitCode': () => ({ code: '000000' }),
  'verification.report': () => Buffer.from('MessageSid=SM1&MessageStatus=failed&ErrorCode=30005'),
}

const PARAMS: Readonly<Record<string, (cast: Cast) => string>> = {
  source: ({ other }) => other.aci.getServiceIdString(),
  guid: () => randomUUID(),
  serviceId: ({ other }) => other.aci.getServiceIdString(),
  destination: ({ other }) => other.aci.getServiceIdString(),
  device: () => '1',
  stickerCount: () => '2',
  usernameHash,
  handle: () => randomUUID(),
  aci: ({ own }) => own.aci.getServiceIdString(),
  fromVersion: () => '0',
  inviteLinkPassword: ({ sampleGroup }) => base64Url(sampleGroup.inviteLinkPassword),
  version: ({ own }) => profileKeysOf(own).version,
  knownVersion: () => '-1',
  credentialRequest: ({ own, ready }) => profileKeysOf(own).request(ready).hex,
  deviceId: () => '7',
  tokenIdentifier: ({ usedTokenId }) => usedTokenId,
  token: () => RESTORE_TOKEN,
  address: () => randomBytes(16).toString('base64url'),
  sessionId: (cast) => cast.sessionId,
  challenge: () => randomBytes(200).toString('base64url'),
  name: () => 'page.css',
  code: () => '0123456789abcdefghjkmnpqrstvwxyz',
  delivery: () => randomBytes(18).toString('base64url'),
}

const QUERY: Readonly<Record<string, string>> = {
  cdn: '3',
  cursor: 'abc',
  identity: 'aci',
  includeFirstState: 'true',
  includeLastState: 'false',
  inviteLinkPassword: 'AAAAAAAAAAAAAAAAAAAAAA',
  maxSupportedChangeEpoch: '5',
  includeE164: 'true',
  online: 'false',
  limit: '10',
  redemptionEndSeconds: String(today + 2 * 86_400),
  redemptionStartSeconds: String(today),
  ts: '1750000000000',
  uploadLength: '1000',
  urgent: 'true',
  credentialType: 'expiringProfileKey',
  story: 'false',
  deviceId: '1',
  timeout: '1',
  sitekey: 'website',
  origin: 'https://www.example.org',
  action: 'login',
  theme: 'dark',
  with: 'sound',
}
const HEADERS: Readonly<Record<string, string>> = {
  'x-signal-agent': 'OWA',
  'x-twilio-signature': randomBytes(20).toString('base64'),
  'accept-encoding': 'gzip, br',
  'if-none-match': '"x"',
  range: 'bytes=0-9',
  'cached-send-endorsements': '0',
}

function need<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new Error(`test/fuzz/examples.ts has no example of ${what}`)
  return found
}

const of = <T>(names: Readonly<Record<string, unknown>>, value: (name: string) => T): Record<string, T> =>
  Object.fromEntries(Object.keys(names).map((name) => [name, value(name)]))

/** Throws if a new route has something that no example was written for. */
export function exampleOf({ capability, name, route }: NamedRoute, cast: Cast): Example {
  const body =
    route.body.contentType === undefined
      ? undefined
      : need(BODIES[`${capability}.${name}`], `the body of ${name}`)
  const headers: Readonly<Record<string, string>> = { ...HEADERS, ...zkHeaders(cast.backup) }
  return {
    params: of(route.params, (key) => need(PARAMS[key], `the parameter ${key}`)(cast)),
    query: of(route.query, (key) => need(QUERY[key], `the query ${key}`)),
    headers: of(route.headers, (key) => need(headers[key], `the header ${key}`)),
    body: body?.(cast),
  }
}

/** Credentials that the route wants, as headers. */
export function credentialsFor(
  { capability, route }: NamedRoute,
  { own, storageAuthorization, sampleGroup }: Cast,
): Record<string, string> {
  const device = basic(`${own.aci.getServiceIdString()}.${own.deviceId}`, own.password)
  if (route.auth === 'device' || route.auth === 'device-or-unidentified') return { authorization: device }
  if (capability === 'storageRecords') return { authorization: storageAuthorization }
  if (capability === 'groups') return { authorization: sampleGroup.authorization }
  if (route.auth === 'basic') return { authorization: basic('+12025550198', 'password') }
  return {}
}
