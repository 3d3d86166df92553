import { type Profile, profilesRoutes, type VersionedProfile } from '../../../wire/rest/profiles.ts'
import { type Access, type Bound, implement } from '../../../wire/route.ts'
import type { ServiceId } from '../../../wire/types.ts'
import type { IdentityCheck } from './identity-check.ts'
import type { FoundProfile, ProfileWrite } from './profile.ts'
import { shownPaymentAddress } from './profile.ts'
import type { Profiles } from './profiles.ts'
import { type PublicAccount, publicAccount } from './public-account.ts'

export const profilesRest = (profiles: Profiles, identities: IdentityCheck): Bound[] =>
  implement(profilesRoutes, {
    async set({ caller, body }) {
      const done = await profiles.set(caller, writeOf(body))
      return done.kind === 'set' ? { status: 200, body: done.form } : { status: 412 }
    },
    async find({ caller, params }) {
      const found = await profiles.find(caller, params.serviceId)
      return found.kind === 'found'
        ? { status: 200, body: accountBody(params.serviceId, publicAccount(found.account, params.serviceId)) }
        : { status: STATUS[found.kind] }
    },
    async read({ caller, params }) {
      const found = await profiles.read(withoutToken(caller), params.aci, params.version)
      return found.kind === 'found'
        ? { status: 200, body: profileBody(found) }
        : { status: STATUS[found.kind] }
    },
    async readWithCredential({ caller, params, query }) {
      const found = await profiles.readWithCredential(
        withoutToken(caller),
        params.aci,
        params.version,
        query.credentialType,
        params.credentialRequest,
      )
      return found.kind === 'found'
        ? { status: 200, body: { ...profileBody(found), credential: found.credential ?? null } }
        : { status: STATUS[found.kind] }
    },
    async checkIdentities({ body, remoteAddress }) {
      const known = body.elements.map(({ uuid, fingerprint }) => ({ id: uuid, fingerprint }))
      const found = await identities.mismatches(known, remoteAddress)
      const elements = found.map(({ id, identityKey }) => ({ uuid: id, identityKey }))
      return { status: 200, body: { elements } }
    },
  })

const STATUS = { refused: 401, 'not-found': 404 } as const

/** A group send token opens an account, not what it shows to those who know its profile key. */
const withoutToken = (access: Access): Access =>
  access.kind === 'group-send-token' ? { kind: 'none' } : access

const writeOf = (body: Profile): ProfileWrite => ({
  version: body.version,
  commitment: body.commitment,
  fields: {
    name: body.name,
    about: body.about ?? undefined,
    aboutEmoji: body.aboutEmoji ?? undefined,
    phoneNumberSharing: body.phoneNumberSharing ?? undefined,
    paymentAddress: body.paymentAddress ?? undefined,
  },
  avatar: body.avatar ? (body.sameAvatar ? 'unchanged' : 'update') : 'clear',
})

const accountBody = (uuid: ServiceId, shown: PublicAccount) => ({
  identityKey: shown.identityKey,
  unidentifiedAccess: shown.accessKeyFingerprint ?? null,
  unrestrictedUnidentifiedAccess: shown.unrestrictedUnidentifiedAccess,
  capabilities: shown.capabilities,
  badges: [],
  uuid,
})

const profileBody = ({ account, profile }: FoundProfile): VersionedProfile => ({
  ...accountBody(account.aci, publicAccount(account, account.aci)),
  name: profile?.name ?? null,
  about: profile?.about ?? null,
  aboutEmoji: profile?.aboutEmoji ?? null,
  avatar: profile?.avatar ?? null,
  paymentAddress: (profile && shownPaymentAddress(profile)) ?? null,
  phoneNumberSharing: profile?.phoneNumberSharing ?? null,
})
