import { z } from 'zod'

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
      caFile: z
        .string()
        .min(1)
        .optional()
        .describe('Certificates (PEM) of authorities that are believed besides the known ones.'),
    })
    .prefault({})
    .describe('Web Push and UnifiedPush, for phones without Google.'),
})
