// Who carries codes to telephones. Which of them does is `registration.senders`.
import { z } from 'zod'

export const SENDERS = ['console', 'twilio', 'twilio-verify', 'webhook', 'smtp'] as const

const sid = (prefix: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}[0-9a-fA-F]{32}$`), `must be ${prefix} and 32 hexadecimal digits`)
    .optional()
const e164 = z.string().regex(/^\+[1-9]\d{5,14}$/, 'must be a number like +12025550123')
const file = z.string().min(1).optional()
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/

/** An address of another server; in the clear only on this host. */
function isSafe(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname))
}
const safeUrl = z.string().refine(isSafe, 'must be an address that begins with https://')
const baseUrl = safeUrl.transform((url) => url.replace(/\/+$/, '')).optional()

export const twilio = z.strictObject({
  accountSid: sid('AC').describe('The account, `AC…`.'),
  authToken: z.string().min(1).optional().describe('The account’s auth token; better in `authTokenFile`.'),
  authTokenFile: file.describe('A file that holds the auth token.'),
  apiKeySid: sid('SK').describe('An API key, `SK…`, to send with instead of the auth token.'),
  apiKeySecret: z.string().min(1).optional().describe('Its secret; better in `apiKeySecretFile`.'),
  apiKeySecretFile: file.describe('A file that holds the secret of the API key.'),
  messagingServiceSid: sid('MG').describe('The messaging service that sends SMS, `MG…`.'),
  from: z
    .union([e164, z.string().regex(/^(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}$/)])
    .optional()
    .describe('Instead of a messaging service: the number or the name that SMS come from.'),
  voiceFrom: e164
    .optional()
    .describe('The number that calls come from. Without it Twilio makes no calls: they cost more than SMS.'),
  verifyServiceSid: sid('VA').describe('The Verify service of the sender `twilio-verify`, `VA…`.'),
  verifyCustomCodes: z
    .boolean()
    .default(false)
    .describe(
      'Whether Verify carries codes of ours, which Twilio has to allow; else it makes and compares them.',
    ),
  callbackUrl: safeUrl
    .optional()
    .describe(
      'This server as Twilio reaches it, such as `https://chat.example.org`. Without it nobody tells us that a message did not arrive. Needs the auth token.',
    ),
  region: z
    .string()
    .regex(/^[a-z0-9]+$/)
    .optional()
    .describe('Twilio’s region, such as `ie1`.'),
  edge: z
    .string()
    .regex(/^[a-z0-9-]+$/)
    .optional()
    .describe('Twilio’s edge location, such as `dublin`.'),
  apiUrl: baseUrl.describe('Another service with Twilio’s API for messages and calls.'),
  verifyUrl: baseUrl.describe('Another service with the API of Verify.'),
})

export const webhook = z.strictObject({
  url: safeUrl.optional().describe('Where the sender `webhook` posts codes. https, or this host.'),
  secret: z
    .string()
    .optional()
    .describe('The secret that signs them, at least 16 characters; better in `secretFile`.'),
  secretFile: file.describe('A file that holds the secret.'),
  voice: z.boolean().default(false).describe('Whether it can call.'),
  caFile: file.describe('PEM certificates of the authorities believed for it; the host’s unless set.'),
})

/** `Name <someone@example.org>` or the address alone. */
const ADDRESS =
  /^(?:[^<>"\r\n]{1,64}<[^\s<>@,;"]{1,64}@[A-Za-z0-9.-]{1,253}>|[^\s<>@,;"]{1,64}@[A-Za-z0-9.-]{1,253})$/

export const smtp = z
  .strictObject({
    host: z.string().min(1).optional().describe('The mail server of the sender `smtp`.'),
    port: z.int().min(1).max(65_535).optional().describe('Its port: 465 with `tls`, else 587, unless set.'),
    security: z
      .enum(['starttls', 'tls', 'none'])
      .default('starttls')
      .describe('`none` is for a mail server on this host only.'),
    user: z.string().min(1).optional().describe('Who logs in; nobody if not set.'),
    password: z.string().min(1).optional().describe('The password; better in `passwordFile`.'),
    passwordFile: file.describe('A file that holds the password.'),
    from: z.string().regex(ADDRESS, 'must be a mail address').optional().describe('Whom the mail is from.'),
    to: z
      .string()
      .regex(ADDRESS, 'must be a mail address')
      .optional()
      .describe(
        'Whom it is for: `{number}@sms.example.org`, or one mailbox. `{number}` has no `+`, `{e164}` has it.',
      ),
    caFile: file.describe('PEM certificates of the authorities believed for it; the host’s unless set.'),
  })
  .refine(({ security, host }) => security !== 'none' || host === undefined || LOOPBACK.test(host), {
    path: ['security'],
    message: 'may be none for a mail server on this host only',
  })
