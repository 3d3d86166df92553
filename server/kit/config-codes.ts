// How many codes may be sent, where to, and when a prefix is closed: what keeps toll fraud cheap.
import { z } from 'zod'

/** What libphonenumber knows of a number's range; `unknown` is a range that it knows nobody to have. */
export const NUMBER_TYPES = [
  'fixed-line',
  'mobile',
  'fixed-line-or-mobile',
  'premium-rate',
  'shared-cost',
  'toll-free',
  'personal-number',
  'voip',
  'pager',
  'uan',
  'voicemail',
  'unknown',
] as const
export type NumberType = (typeof NUMBER_TYPES)[number]

/** Whose numbers cost their caller more, who is not called back there, or whom nobody can tell. */
const REFUSED: NumberType[] = [
  'premium-rate',
  'shared-cost',
  'toll-free',
  'personal-number',
  'voip',
  'pager',
  'uan',
  'voicemail',
  'unknown',
]

const country = z.string().regex(/^([A-Z]{2}|\+[1-9]\d{0,2})$/, 'must be like DE or +49')

const budget = (hour: number, day: number, least: 0 | 1) =>
  z
    .strictObject({
      hour: z.int().min(least).default(hour).describe('codes in an hour'),
      day: z.int().min(least).default(day).describe('codes in a day'),
    })
    .default({ hour, day })

/** Needs `registration.budgets`. */
export const codeBreaker = z.strictObject({
  sample: z
    .int()
    .min(1)
    .default(20)
    .describe(
      'Codes that must have been sent to a prefix before it is judged; to a country five times as many.',
    ),
  percent: z
    .int()
    .min(1)
    .max(100)
    .default(20)
    .describe('It is closed if fewer of its codes than these were entered.'),
  graceMinutes: z
    .int()
    .min(1)
    .default(10)
    .describe('A code is not judged before it is so old: people need time.'),
  windowHours: z.int().min(1).max(168).default(24).describe('Nor when it is older than that.'),
  pauseMinutes: z
    .int()
    .min(15)
    .max(1440)
    .default(60)
    .describe(
      'For how long it is closed; twice as long each time the codes after that are not entered, up to a day.',
    ),
  trials: z
    .int()
    .min(1)
    .default(4)
    .describe('Codes that a closed prefix gets afterwards. It is open again when half of them were entered.'),
})

/** Needs `registration.budgets`. */
export const codes = z.strictObject({
  perNumber: budget(5, 10, 1).describe(
    'To one phone number, in every form of it, by SMS and voice together.',
  ),
  perAddress: budget(20, 60, 1).describe(
    'Asked for from one IPv4 address or IPv6 /64. Loopback is not counted.',
  ),
  perPrefix: budget(30, 100, 1).describe('To numbers that begin alike: the country and some digits more.'),
  prefixDigits: z
    .int()
    .min(1)
    .max(7)
    .default(3)
    .describe('How many digits after the country’s make a prefix.'),
  perCountry: budget(100, 500, 1).describe('To one country.'),
  sms: budget(200, 1000, 0).describe('By SMS in all; 0 sends none.'),
  voice: budget(20, 100, 0).describe('By voice in all; 0 makes no calls.'),
  countries: z
    .array(country)
    .default([])
    .describe('Countries whose numbers get codes, such as `[DE, AT, +41]`; all of them if empty.'),
  deniedCountries: z.array(country).default([]).describe('Countries whose numbers get none.'),
  refusedTypes: z
    .array(z.enum(NUMBER_TYPES))
    .default(REFUSED)
    .describe('Numbers that get none, by what their range is for.'),
})
export type CodeBudgets = z.output<typeof codes>
export type CodeBreaker = z.output<typeof codeBreaker>
