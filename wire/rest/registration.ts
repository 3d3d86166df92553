// Registration: a proven number becomes an account with its primary device (docs/protocol/registration.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { aci, barePni, base64, capabilities, registrationId, text } from '../types.ts'
import { EcSignedPreKey, ecPublicKey, KemSignedPreKey } from './keys.ts'

/** The access key as base64, or as a JSON array of bytes, which is how libsignal sends it at registration. */
const accessKeyBytes = z.codec(
  z.union([z.string(), z.array(z.int().min(0).max(255)).max(16)]),
  z.custom<Uint8Array>(),
  {
    decode: (value, context) => {
      const bytes =
        typeof value === 'string' ? base64('padded').safeDecode(value).data : Uint8Array.from(value)
      if (bytes !== undefined && (bytes.length === 0 || bytes.length === 16)) return bytes
      context.issues.push({ code: 'custom', message: 'must be 16 bytes', input: value })
      return z.NEVER
    },
    encode: (bytes) => Buffer.from(bytes).toString('base64'),
  },
)

export const AccountAttributes = z.object({
  fetchesMessages: z.boolean().nullish(),
  registrationId: registrationId,
  pniRegistrationId: registrationId.nullish(),
  name: base64('unpadded', { max: 225 }).nullish(),
  capabilities: capabilities.nullish(),
  registrationLock: z
    .string()
    .refine((lock) => lock.length === 0 || lock.length === 64, 'must have 64 characters')
    .nullish(),
  unidentifiedAccessKey: accessKeyBytes.nullish(),
  unrestrictedUnidentifiedAccess: z.boolean().nullish(),
  discoverableByPhoneNumber: z.boolean().nullish(),
  recoveryPassword: base64('unpadded', { oneOf: [0, 32] }).nullish(),
})
export type AccountAttributes = z.output<typeof AccountAttributes>

export const Registration = z.object({
  sessionId: text(256).nullish(),
  recoveryPassword: base64('unpadded', { max: 32 }).nullish(),
  /** That an invite was given; only for an account without a number. */
  receiptCredentialPresentation: base64('unpadded', { max: 1024 }).nullish(),
  /** The digits as a number, without leading zeros. */
  totp: z.int().nullish(),
  accountAttributes: AccountAttributes,
  skipDeviceTransfer: z.boolean().nullish(),
  aciIdentityKey: ecPublicKey,
  pniIdentityKey: ecPublicKey.nullish(),
  aciSignedPreKey: EcSignedPreKey,
  pniSignedPreKey: EcSignedPreKey.nullish(),
  aciPqLastResortPreKey: KemSignedPreKey,
  pniPqLastResortPreKey: KemSignedPreKey.nullish(),
  apnToken: z.object({ apnRegistrationId: text(4096).min(1) }).nullish(),
  gcmToken: z.object({ gcmRegistrationId: text(4096).min(1) }).nullish(),
})
export type Registration = z.output<typeof Registration>

/** What the server knows an account by. */
export const AccountIdentity = z.object({
  uuid: aci,
  number: z.string().nullable(),
  pni: barePni.nullable(),
  usernameHash: base64('url').nullable(),
  usernameLinkHandle: z.string().nullable(),
  storageCapable: z.boolean(),
  entitlements: z.object({
    badges: z.array(z.never()),
    backup: z.object({ backupLevel: z.int(), expirationSeconds: z.int() }).nullable(),
  }),
  /** Only of an account without a number: what takes the PNI's place in its credentials. */
  authCredentialSalt: base64('padded').optional(),
})

/** The account is locked for so many milliseconds; the credentials reach the PIN that opens it. */
export const RegistrationLockFailure = z.object({
  timeRemaining: z.int(),
  svr2Credentials: z.object({ username: z.string(), password: z.string() }),
})
export type RegistrationLockFailure = z.output<typeof RegistrationLockFailure>

export const registrationRoutes = {
  register: route({
    method: 'POST',
    path: '/v1/registration',
    auth: 'basic',
    summary: 'Makes or takes over the account of a proven number',
    limiters: ['registration', 'pin', 'checkTotp'],
    headers: { 'x-signal-agent': text(16).optional() },
    body: json(Registration),
    replies: {
      200: json(AccountIdentity.extend({ reregistration: z.boolean() })),
      400: nothing,
      401: nothing,
      403: nothing,
      409: nothing,
      423: json(RegistrationLockFailure),
      441: nothing,
      499: nothing,
    },
  }),
}
