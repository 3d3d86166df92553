// How people show that they are none of many machines.
import { z } from 'zod'

const host = z.hostname().toLowerCase()

const site = z
  .strictObject({
    key: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be up to 64 letters, digits, - or _'),
    secret: z.string().min(16, 'must have at least 16 characters').optional(),
    secretFile: z.string().min(1).optional(),
    hostnames: z.array(host).min(1),
  })
  .refine((value) => (value.secret === undefined) !== (value.secretFile === undefined), {
    message: 'needs a secret or a secretFile, and not both',
  })

export const captcha = z.strictObject({
  provider: z
    .enum(['own', 'hcaptcha', 'turnstile'])
    .default('own')
    .describe(
      'Whose captcha the pages for Signal clients show. `own` asks nobody else; with the others their companies see who registers.',
    ),
  evaluations: z
    .int()
    .min(4)
    .max(4096)
    .default(48)
    .describe(
      'The most evaluations of Argon2id (16 MiB each) that a device needs for our own; half of them on average. Up to 16 times as many while an address range, or everybody, asks for many.',
    ),
  calmPerRange: z
    .int()
    .min(1)
    .default(30)
    .describe(
      'Challenges for one range of addresses (IPv4 /24, IPv6 /48) in about a quarter of an hour before the work doubles.',
    ),
  calmInAll: z.int().min(1).default(3000).describe('The same for everybody together.'),
  riddles: z
    .array(z.enum(['picture', 'sound']))
    .default(['picture', 'sound'])
    .describe(
      'What our own offers besides work, for devices without JavaScript and people who want it. Machines read both: `[]` offers none, and shuts those people out.',
    ),
  tokenSeconds: z
    .int()
    .min(30)
    .max(3600)
    .default(300)
    .describe('For how long a solved captcha counts. Who copies it for signal-cli needs a minute or two.'),
  siteKey: z.string().min(1).optional().describe('From hCaptcha or Turnstile, with `secret`.'),
  secret: z
    .string()
    .min(1)
    .optional()
    .describe('From hCaptcha or Turnstile. Better in a file: `secretFile`.'),
  secretFile: z.string().min(1).optional().describe('The file that holds `secret`.'),
  scriptUrl: z.url().optional().describe('Where the script of hCaptcha or Turnstile is, if not at theirs.'),
  verifyUrl: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'Where tokens are verified: for hCaptcha and Turnstile if not at theirs; for `own` where another process has the role `captcha` (`https://…/siteverify`), with the same `secrets` folder.',
    ),
  sites: z
    .array(site)
    .default([])
    .refine((sites) => new Set(sites.map(({ key }) => key)).size === sites.length, {
      message: 'has two sites of one key',
    })
    .describe(
      'Other sites that may ask: `{ key: website, secretFile: /path, hostnames: [www.example.org] }`; docs/protocol/captcha.md tells how.',
    ),
})
