import type { Accounts } from '../../../wire/gen/account.js'
import type { CheckIdentityKeyRequest, KeysAnonymous } from '../../../wire/gen/keys.js'
import {
  SetProfileV1Request_AvatarChange as Change,
  CredentialType,
  type GetProfileRequest,
  ProfileAnonymous,
  Profile as ProfileService,
  type SetProfileRequest,
} from '../../../wire/gen/profile.js'
import type { Access } from '../../../wire/route.ts'
import { exactBytes } from '../../kit/grpc-bytes.ts'
import { type GrpcHandlers, type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import type { Account } from '../accounts/account.ts'
import { readServiceIdentifier, toServiceIdentifier } from '../accounts/service-identifier.ts'
import type { AvatarPlaces, Extended } from './avatar-places.ts'
import { ETAG_BYTES } from './etag.ts'
import { between, readAci, readHex, sized, sizedOrAbsent, violated } from './fields.ts'
import { FINGERPRINT_BYTES, type Fingerprint, type IdentityCheck } from './identity-check.ts'
import { type AvatarChange, type ProfileV2Write, shownPaymentAddress } from './profile.ts'
import { MAX_AVATAR_BYTES, type Profiles, type SetV2, type Shown } from './profiles.ts'
import { publicAccount } from './public-account.ts'
import type { ZkCredentialKeys } from './zk-credential-keys.ts'

const COMMITMENT_BYTES = 97
const VERSION_BYTES = 32
const HASH_BYTES = 32
const ACCESS_KEY_BYTES = 16
const MAX_DATA_BYTES = 937

async function* fingerprints(requests: AsyncIterable<CheckIdentityKeyRequest>): AsyncGenerator<Fingerprint> {
  for await (const { targetIdentifier, fingerprint } of requests)
    yield {
      id: readServiceIdentifier('target_identifier', targetIdentifier),
      fingerprint: exactBytes('fingerprint', fingerprint, FINGERPRINT_BYTES),
    }
}

export const identityCheckGrpc = (
  identities: IdentityCheck,
): Pick<GrpcHandlers<typeof KeysAnonymous>, 'checkIdentityKeys'> => ({
  async checkIdentityKeys(requests, replies, { remoteAddress }) {
    for await (const { id, identityKey } of identities.differing(fingerprints(requests), remoteAddress))
      await replies.send({ targetIdentifier: toServiceIdentifier(id), identityKey })
  },
})

export const profilesGrpc = (profiles: Profiles, places: AvatarPlaces): GrpcMethod[] => [
  ...implementService(ProfileService, {
    async setProfile(request, { device }) {
      return setResponse(await profiles.setV2(device, writeOf(request)))
    },
    async getProfile(request, { device }) {
      const shown = await profiles.show({ kind: 'device', device }, ...asked(request))
      return shown.kind === 'fields' ? { legacyProfile: legacyResult(shown) } : profileResponse(shown)
    },
    async getAvatarCredentials({ avatarCredentialsRequest }, { device }) {
      const credential = await places.credential(device, avatarCredentialsRequest)
      return credential
        ? { avatarCredentials: credential }
        : { missingZkCredentialKey: { description: 'the account has set no key' } }
    },
    async setV1Avatar(request, { device }) {
      const version = readHex('version', request.version, VERSION_BYTES)
      const commitment = sizedOrAbsent('commitment', request.commitment, COMMITMENT_BYTES)
      return { form: await profiles.setAvatar(device, version, commitment) }
    },
  }),
  ...implementService(ProfileAnonymous, {
    async getProfile(request) {
      const shown = await profiles.show(unidentified(request), ...asked(request.request))
      return shown.kind === 'fields' ? { profileV1: legacyResult(shown) } : anonymousResponse(shown)
    },
    async getExpiringProfileKeyCredential({ request, unidentifiedAccessKey }) {
      const [aci, version] = asked(request)
      const key = sized('unidentified_access_key', unidentifiedAccessKey, ACCESS_KEY_BYTES)
      const found = await profiles.readWithCredential(
        { kind: 'access-key', key },
        aci,
        version,
        CREDENTIAL_TYPES[request!.credentialType] ?? violated('credential_type', 'must be specified'),
        request!.credentialRequest,
      )
      // A wrong key, a missing account and another version are one answer.
      const credential = found.kind === 'found' ? found.credential : undefined
      return credential ? { result: { profileKeyCredential: credential } } : { notFound: {} }
    },
    async getAvatarUploadForm({ avatarCredentialsPresentation, uploadLength }) {
      const bytes = between('upload_length', uploadLength, 1, MAX_AVATAR_BYTES)
      const form = await places.uploadForm(avatarCredentialsPresentation, bytes)
      return form ? { avatarUploadForm: form } : { invalidCredentialsPresentation: {} }
    },
    async extendAvatarTTL({ avatarCredentialsPresentation }) {
      return extendResponse(await places.extend(avatarCredentialsPresentation))
    },
    async deleteAvatar({ avatarCredentialsPresentation }) {
      const left = await places.leave(avatarCredentialsPresentation)
      return left ? { success: {} } : { invalidCredentialsPresentation: {} }
    },
  }),
]

/** The part of the service of accounts that is here. */
export const zkCredentialKeysGrpc = (
  zkKeys: ZkCredentialKeys,
): Pick<GrpcHandlers<typeof Accounts>, 'setZkCredentialKey'> => ({
  async setZkCredentialKey({ publicKey }, { device }) {
    return { rotationId: await zkKeys.set(device, publicKey) }
  },
})

const CREDENTIAL_TYPES: Readonly<Record<number, string>> = {
  [CredentialType.CREDENTIAL_TYPE_EXPIRING_PROFILE_KEY]: 'expiringProfileKey',
}

const AVATAR_CHANGES: Readonly<Record<number, AvatarChange>> = {
  [Change.AVATAR_CHANGE_UNCHANGED]: 'unchanged',
  [Change.AVATAR_CHANGE_CLEAR]: 'clear',
  [Change.AVATAR_CHANGE_UPDATE]: 'update',
}

function writeOf(request: SetProfileRequest): ProfileV2Write {
  const v1 = request.v1Request ?? violated('v1_request', 'must be present')
  between('data', request.data.length, 1, MAX_DATA_BYTES)
  return {
    version: sized('version', request.version, VERSION_BYTES),
    commitment: sized('commitment', request.commitment, COMMITMENT_BYTES),
    data: request.data,
    expectedDataHash: sizedOrAbsent(
      'expected_current_data_hash',
      request.expectedCurrentDataHash,
      HASH_BYTES,
    ),
    expectedVersion: sizedOrAbsent('expected_current_version', request.expectedCurrentVersion, VERSION_BYTES),
    fields: {
      name: sized('v1_request.name', v1.name, 81, 285),
      about: sized('v1_request.about', v1.about, 0, 156, 282, 540),
      aboutEmoji: sized('v1_request.about_emoji', v1.aboutEmoji, 0, 60),
      phoneNumberSharing: sized('v1_request.phone_number_sharing', v1.phoneNumberSharing, 29),
      paymentAddress: sizedOrAbsent('payment_address', request.paymentAddress, 582),
    },
    avatar: AVATAR_CHANGES[v1.avatarChange] ?? violated('v1_request.avatar_change', 'must be a change'),
  }
}

function setResponse(done: SetV2) {
  switch (done.kind) {
    case 'set':
      return { result: { v1AvatarUploadForm: done.form } }
    case 'capability-missing':
      return { profilesV2CapabilityRequired: {} }
    case 'version-conflict':
      return { expectedVersionWriteConflict: { description: 'the account has another current version' } }
    case 'data-conflict':
      return { expectedDataWriteConflict: { description: 'the version has other data' } }
  }
}

type Asked = Pick<GetProfileRequest, 'accountIdentifier' | 'version'> & { readonly etag?: Uint8Array }

function asked(request: Asked | null) {
  const { accountIdentifier, version, etag } = request ?? violated('request', 'must be present')
  const id = readServiceIdentifier('account_identifier', accountIdentifier)
  return [
    readAci('account_identifier', id),
    sized('version', version, VERSION_BYTES),
    etag && sizedOrAbsent('etag', etag, ETAG_BYTES),
  ] as const
}

type Authentication =
  | { readonly authentication: 'unidentifiedAccessKey'; readonly unidentifiedAccessKey: Uint8Array }
  | { readonly authentication: 'groupSendToken'; readonly groupSendToken: Uint8Array }
  | { readonly authentication: undefined }

function unidentified(request: Authentication): Exclude<Access, { kind: 'device' }> {
  if (request.authentication === undefined) return violated('authentication', 'must be present')
  if (request.authentication === 'groupSendToken')
    return { kind: 'group-send-token', token: request.groupSendToken }
  const key = sized('unidentified_access_key', request.unidentifiedAccessKey, ACCESS_KEY_BYTES)
  return { kind: 'access-key', key }
}

const anonymousResponse = (shown: Exclude<Shown, { kind: 'fields' }>) =>
  shown.kind === 'refused' ? { failedUnidentifiedAuthorization: {} } : profileResponse(shown)

function extendResponse(extended: Extended) {
  if (extended.kind === 'extended') return { path: extended.key }
  return extended.kind === 'refused' ? { invalidCredentialsPresentation: {} } : { notFound: {} }
}

function profileResponse(shown: Exclude<Shown, { kind: 'fields' }>) {
  if (shown.kind === 'matched') return { etagMatched: true }
  if (shown.kind !== 'data') return { notFound: {} }
  const { data, paymentAddress, etag, account } = shown
  return { profile: { data, paymentAddress, etag, accountInfo: accountInfo(account) } }
}

const legacyResult = ({ account, profile }: Extract<Shown, { kind: 'fields' }>) => ({
  name: profile.name,
  about: profile.about,
  aboutEmoji: profile.aboutEmoji,
  avatar: profile.avatar,
  phoneNumberSharing: profile.phoneNumberSharing,
  paymentAddress: shownPaymentAddress(profile),
  accountInfo: accountInfo(account),
})

const accountInfo = (account: Account) => {
  const shown = publicAccount(account, account.aci)
  return {
    identityKey: shown.identityKey,
    unidentifiedAccessKeyFingerprint: shown.accessKeyFingerprint,
    unrestrictedUnidentifiedAccess: shown.unrestrictedUnidentifiedAccess,
  }
}
