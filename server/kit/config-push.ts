import { z } from 'zod'

const providerUrl = z.url({ protocol: /^https$/ }).transform((url) => new URL(url).origin)
const caFile = z
  .string()
  .min(1)
  .optional()
  .describe('Certificates (PEM) of authorities that are believed besides the known ones.')

const fcm = z.strictObject({
  serviceAccountFile: z
    .string()
    .min(1)
    .describe('The key of a service account (JSON), as the Firebase console gives it. A secret: mode 0600.'),
  projectId: z
    .string()
    .regex(/^[a-z0-9][a-z0-9:.-]{1,62}$/, 'must be the id of a Firebase project')
    .optional()
    .describe('The project of the app, if it is not the one of the service account.'),
  url: providerUrl
    .default('https://fcm.googleapis.com')
    .describe('Where FCM is; another one for tests. Tokens come from `token_uri` of the service account.'),
  caFile,
})

const tenCharacters = z.string().regex(/^[A-Z0-9]{10}$/, 'must be ten capital letters and digits')

const apns = z
  .strictObject({
    keyFile: z
      .string()
      .min(1)
      .describe(
        'The key (.p8) of the developer portal, or the one of `certificateFile`. A secret: mode 0600.',
      ),
    keyId: tenCharacters.optional().describe('The id of the key.'),
    teamId: tenCharacters.optional().describe('The team that the key is of.'),
    certificateFile: z
      .string()
      .min(1)
      .optional()
      .describe('A certificate (PEM) for the app, in the place of `keyId` and `teamId`.'),
    topic: z.string().min(1).describe("The app's bundle id."),
    environment: z
      .enum(['production', 'sandbox'])
      .default('production')
      .describe('`sandbox` for apps that were built by a developer and not by way of Apple.'),
    url: providerUrl.optional().describe('Where APNs is, if not where `environment` says; for tests.'),
    caFile,
  })
  .refine(
    ({ keyId, teamId, certificateFile }) =>
      certificateFile === undefined
        ? keyId !== undefined && teamId !== undefined
        : keyId === undefined && teamId === undefined,
    { message: 'needs keyId and teamId, or a certificateFile, and not both' },
  )

export const push = z.strictObject({
  url: z
    .url({ protocol: /^https$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .describe(
      'Where another process of ours has the role `push`, for a process that has not. It needs the same secrets.',
    ),
  web: z
    .strictObject({
      enabled: z
        .enum(['on', 'off'])
        .default('on')
        .describe(
          'Wake devices that named an address of a push service (Web Push, UnifiedPush): `on` asks servers on the internet that users choose.',
        ),
      contact: z
        .string()
        .regex(/^(mailto:.+@.+|https:\/\/.+)$/, 'must be `mailto:` or `https:`')
        .default('https://localhost')
        .describe('How a push service reaches the operator (RFC 8292): `mailto:` or `https:`.'),
      allowed: z
        .array(z.string().min(1))
        .default([])
        .describe(
          'Names and networks (`ntfy.lan`, `192.168.7.0/24`) that may be asked though they are not on the internet.',
        ),
      caFile,
    })
    .prefault({})
    .describe('Web Push and UnifiedPush, for phones without Google.'),
  fcm: fcm
    .optional()
    .describe('Google, for Android phones. Without it they are woken by Web Push, or not at all.'),
  apns: apns.optional().describe('Apple, for iPhones and iPads. Without it they are not woken.'),
})
