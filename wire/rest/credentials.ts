// What a device shows to others so that they need not ask who it is (docs/protocol/credentials.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { barePni, base64, text } from '../types.ts'

/** Absent is the start of 1970, which no range may contain. */
const seconds = z.codec(
  z
    .string()
    .regex(/^\d{1,15}$/)
    .optional(),
  z.int(),
  {
    decode: (digits) => Number(digits ?? 0),
    encode: (value) => String(value),
  },
)
/** Absent means true. */
const flagOn = z.codec(z.string().optional(), z.boolean(), {
  decode: (value) => value === undefined || value.toLowerCase() === 'true',
  encode: (value) => String(value),
})

const bytes = base64('padded')
const Dated = z.object({ credential: bytes, redemptionTime: z.int() })
const tokens = z.array(text(256)).max(10).nullish()

/** Basic credentials for another service. */
const externalCredentials = { 200: json(z.object({ username: z.string(), password: z.string() })) }

const svrAuth = {
  method: 'GET',
  auth: 'device',
  summary: 'Gives credentials for secure value recovery',
  replies: externalCredentials,
} as const
const svrCheck = {
  method: 'POST',
  auth: 'none',
  summary: 'Says which credentials for secure value recovery are of a number’s account',
  limiters: ['backupAuthCheck'],
  body: json(z.object({ number: text(64), tokens, passwords: tokens })),
  replies: {
    200: json(z.object({ matches: z.record(z.string(), z.enum(['match', 'no-match', 'invalid'])) })),
  },
} as const

export const credentialsRoutes = {
  deliveryCertificate: route({
    method: 'GET',
    path: '/v1/certificate/delivery',
    auth: 'device',
    summary: 'Gives a sender certificate, with the number in it or without',
    query: { includeE164: flagOn },
    replies: { 200: json(z.object({ certificate: bytes })) },
  }),
  groupCredentials: route({
    method: 'GET',
    path: '/v1/certificate/auth/group',
    auth: 'device',
    summary: 'Gives the credentials for groups and call links, one of each a day',
    query: { redemptionStartSeconds: seconds, redemptionEndSeconds: seconds },
    replies: {
      200: json(
        z.object({
          credentials: z.array(Dated),
          callLinkAuthCredentials: z.array(Dated),
          pni: barePni.nullable(),
        }),
      ),
      400: nothing,
    },
  }),
  createCallLink: route({
    method: 'POST',
    path: '/v1/call-link/create-auth',
    auth: 'device',
    summary: 'Gives a credential for creating a call link',
    limiters: ['createCallLink'],
    body: json(z.object({ createCallLinkCredentialRequest: base64('padded', { min: 1, max: 1024 }) })),
    replies: { 200: json(Dated), 400: nothing },
  }),
  storageAuth: route({
    method: 'GET',
    path: '/v1/storage/auth',
    auth: 'device',
    summary: 'Gives credentials for the storage service',
    replies: externalCredentials,
  }),
  directoryAuth: route({
    method: 'GET',
    path: '/v2/directory/auth',
    auth: 'device',
    summary: 'Gives credentials for contact discovery',
    replies: externalCredentials,
  }),
  svrAuth: route({ ...svrAuth, path: '/v2/svr/auth' }),
  svrAuthOldPath: route({ ...svrAuth, path: '/v2/backup/auth' }),
  svrCheck: route({ ...svrCheck, path: '/v2/svr/auth/check' }),
  svrCheckOldPath: route({ ...svrCheck, path: '/v2/backup/auth/check' }),
}
