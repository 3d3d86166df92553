// Profiles: what people show of themselves to those who know their profile key (docs/protocol/profiles.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { aci, base64, decodeHex, serviceId } from '../types.ts'
import { ecPublicKey } from './keys.ts'

const VERSION_BYTES = 32
const MAX_CHECKED = 1000

/** Bytes in hexadecimal; both cases are read. */
const hex = (size: { bytes?: number } = {}) =>
  z.codec(
    z.string(),
    z.custom<Uint8Array>((value) => value instanceof Uint8Array),
    {
      decode: (text, context) => {
        const bytes = decodeHex(text)
        if (bytes && (size.bytes === undefined || bytes.length === size.bytes)) return bytes
        context.issues.push({ code: 'custom', message: 'must be hexadecimal of the right size', input: text })
        return z.NEVER
      },
      encode: (bytes) => Buffer.from(bytes).toString('hex'),
    },
  )

/** A version that somebody asks for: what can be none is one that nobody has. */
const askedVersion = z.codec(
  z.string(),
  z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  {
    decode: (text) => decodeHex(text) ?? new Uint8Array(0),
    encode: (bytes) => Buffer.from(bytes).toString('hex'),
  },
)

const ciphertext = (...oneOf: number[]) => base64('padded', { oneOf })

const Profile = z.object({
  version: hex({ bytes: VERSION_BYTES }),
  commitment: base64('padded', { min: 97, max: 97 }),
  name: ciphertext(81, 285),
  about: ciphertext(0, 156, 282, 540).nullish(),
  aboutEmoji: ciphertext(0, 60).nullish(),
  paymentAddress: ciphertext(0, 582).nullish(),
  phoneNumberSharing: ciphertext(0, 29).nullish(),
  avatar: z.boolean().nullish(),
  sameAvatar: z.boolean().nullish(),
  // There are no badges here: whatever is chosen of them is nothing.
  badgeIds: z.array(z.string()).nullish(),
})
export type Profile = z.output<typeof Profile>

/** The fields of an S3 form. */
export const PostForm = z.object({
  key: z.string(),
  credential: z.string(),
  acl: z.string(),
  algorithm: z.string(),
  date: z.string(),
  policy: z.string(),
  signature: z.string(),
})

const UnversionedProfile = z.object({
  identityKey: ecPublicKey,
  unidentifiedAccess: base64('padded').nullable(),
  unrestrictedUnidentifiedAccess: z.boolean(),
  capabilities: z.record(z.string(), z.boolean()),
  badges: z.array(z.never()),
  uuid: serviceId,
})

const VersionedProfile = UnversionedProfile.extend({
  name: base64('padded').nullable(),
  about: base64('padded').nullable(),
  aboutEmoji: base64('padded').nullable(),
  avatar: z.string().nullable(),
  paymentAddress: base64('padded').nullable(),
  phoneNumberSharing: base64('padded').nullable(),
})
export type VersionedProfile = z.output<typeof VersionedProfile>

export const profilesRoutes = {
  set: route({
    method: 'PUT',
    path: '/v1/profile',
    auth: 'device',
    summary: 'Writes a version of the profile, and makes it the current one',
    body: json(Profile),
    // The form is there if an avatar was announced.
    replies: { 200: json(PostForm.optional()), 412: nothing },
  }),
  find: route({
    method: 'GET',
    path: '/v1/profile/:serviceId',
    auth: 'device-or-unidentified',
    summary: 'What everybody who may reach an account may know of it',
    limiters: ['profile'],
    params: { serviceId },
    replies: { 200: json(UnversionedProfile), 401: nothing, 404: nothing },
  }),
  read: route({
    method: 'GET',
    path: '/v1/profile/:aci/:version',
    auth: 'device-or-unidentified',
    summary: 'A version of a profile; without its fields if there is no such version',
    limiters: ['profile'],
    params: { aci, version: askedVersion },
    replies: { 200: json(VersionedProfile), 401: nothing, 404: nothing },
  }),
  readWithCredential: route({
    method: 'GET',
    path: '/v1/profile/:aci/:version/:credentialRequest',
    auth: 'device-or-unidentified',
    summary: 'The same, with a credential for the profile key if the version is the current one',
    limiters: ['profile'],
    params: { aci, version: askedVersion, credentialRequest: hex() },
    query: { credentialType: z.string().optional() },
    replies: {
      200: json(VersionedProfile.extend({ credential: base64('padded').nullable() })),
      400: nothing,
      401: nothing,
      404: nothing,
    },
  }),
  checkIdentities: route({
    method: 'POST',
    path: '/v1/profile/identity_check/batch',
    auth: 'none',
    summary: 'Names the identities whose keys have other fingerprints',
    limiters: ['batchIdentityCheck'],
    body: json(
      z.object({
        elements: z
          .array(z.object({ uuid: serviceId, fingerprint: base64('padded', { min: 4, max: 4 }) }))
          .max(MAX_CHECKED),
      }),
    ),
    replies: {
      200: json(z.object({ elements: z.array(z.object({ uuid: serviceId, identityKey: ecPublicKey })) })),
    },
  }),
}
