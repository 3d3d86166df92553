// Which clients are served, and what they are told.
import { z } from 'zod'
import { PLATFORMS, parseVersion } from './client-version.ts'

const version = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((value) => parseVersion(value) !== undefined, { message: 'must be a version such as 7.4.0' })

const byPlatform = <T extends z.ZodType>(value: T) =>
  z.strictObject({ android: value.optional(), ios: value.optional(), desktop: value.optional() }).prefault({})

export const clients = z.strictObject({
  minimumVersions: byPlatform(version).describe(
    'The oldest version of a platform that is served, by `android`, `ios`, `desktop`; older ones are told to update (499).',
  ),
  blockedVersions: byPlatform(z.array(version)).describe(
    'Versions that are not served, as lists by `android`, `ios`, `desktop`.',
  ),
  unrecognizedUserAgents: z
    .enum(['allowed', 'refused'])
    .default('allowed')
    .describe('Clients whose `User-Agent` is not `Signal-<Platform>/<version>`.'),
  idlePrimaryDays: z
    .number()
    .positive()
    .default(30)
    .describe('A linked device is told that its primary was away for longer (`idle-primary-device`).'),
})

const text = z.union([z.string(), z.number(), z.boolean()]).transform(String)

const rollout = z
  .strictObject({
    value: text.optional(),
    defaultValue: text.optional(),
    percentage: z.int().min(0).max(100).optional(),
    platforms: z.array(z.enum(PLATFORMS)).min(1).optional(),
    uuids: z.array(z.uuid().toLowerCase()).optional(),
    hashKey: z.string().min(1).optional(),
  })
  .refine((keys) => Object.keys(keys).length > 0, { message: 'must not be empty' })

export const remoteConfig = z
  .record(z.string(), z.union([text, rollout]))
  .default({})
  .describe(
    'Names and values published to clients, for instance `global.attachments.maxBytes`. Instead of a value: `{ value, defaultValue, percentage, platforms, uuids, hashKey }`.',
  )
