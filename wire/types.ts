// The values every side speaks: identifiers, base64 of every flavour, and the schemas that turn wire strings into them.
import { z } from 'zod'

declare const brand: unique symbol

/** An account's identity: a lower-case UUID. */
export type Aci = string & { readonly [brand]: 'aci' }
/** A phone number's identity: `PNI:` and a lower-case UUID. */
export type Pni = string & { readonly [brand]: 'pni' }
export type ServiceId = Aci | Pni
/** 1 is the primary device; 2 to 127 are linked ones. */
export type DeviceId = number
/** A phone number as libphonenumber writes it in E.164. */
export type E164 = string & { readonly [brand]: 'e164' }

export type DeviceAddress = { readonly aci: Aci; readonly deviceId: DeviceId }
export type IdentityType = 'aci' | 'pni'

export const PRIMARY_DEVICE: DeviceId = 1
export const MAX_DEVICE_ID = 127
export const MAX_REGISTRATION_ID = 0x3fff
export const MAX_KEY_ID = 0x7fffffff
/** The largest client timestamp, in milliseconds (ECMAScript's own limit). */
export const MAX_TIMESTAMP_MS = 8_640_000_000_000_000

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const PNI_PREFIX = 'PNI:'

export const isPni = (id: ServiceId): id is Pni => id.startsWith(PNI_PREFIX)

/** Reads an ACI, or nothing if the text is not a UUID. Upper case is accepted and folded. */
export function parseAci(text: string): Aci | undefined {
  const lower = text.toLowerCase()
  return UUID.test(lower) ? (lower as Aci) : undefined
}

/** Reads `<uuid>` as an ACI and `PNI:<uuid>` as a PNI. */
export function parseServiceId(text: string): ServiceId | undefined {
  if (!text.startsWith(PNI_PREFIX)) return parseAci(text)
  const uuid = parseAci(text.slice(PNI_PREFIX.length))
  return uuid && pniFromUuid(uuid)
}

const E164_FORM = /^\+[1-9]\d{1,14}$/
/** Reads text of the form of E.164, without asking whether there is such a number. */
/** Whether it is the number of the two. */
export const isE164 = (id: Aci | E164): id is E164 => id.startsWith('+')

export const parseE164 = (text: string): E164 | undefined =>
  E164_FORM.test(text) ? (text as E164) : undefined

/** The UUID of a service id, without the prefix that a PNI carries. */
export const uuidOf = (id: ServiceId): string => (isPni(id) ? id.slice(PNI_PREFIX.length) : id)
export const pniFromUuid = (uuid: string): Pni => `${PNI_PREFIX}${uuid}` as Pni

export const uuidToBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex')

/**
 * A copy for keeping: a small `Buffer` is a view of some kilobytes that it shares, and keeps alive.
 * Up to 64 bytes live in the JavaScript heap.
 */
export const compact = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

export function uuidFromBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The compact form: 16 bytes for an ACI, 0x01 and 16 bytes for a PNI. */
export function serviceIdToBytes(id: ServiceId): Buffer {
  const uuid = uuidToBytes(uuidOf(id))
  return isPni(id) ? Buffer.concat([Buffer.of(1), uuid]) : uuid
}

/** Reads the compact form, and the fixed-width form (17 bytes, first 0x00 or 0x01) too. */
export function serviceIdFromBytes(bytes: Uint8Array): ServiceId | undefined {
  if (bytes.length === 16) return uuidFromBytes(bytes) as Aci
  if (bytes.length !== 17) return undefined
  const uuid = uuidFromBytes(bytes.subarray(1))
  if (bytes[0] === 0) return uuid as Aci
  return bytes[0] === 1 ? pniFromUuid(uuid) : undefined
}

const EQUALS = 0x3d

/** Decodes standard and URL-safe base64, padded or not; nothing if the text is not base64. */
export function decodeBase64(text: string): Buffer | undefined {
  let digits = text.length
  while (digits > 0 && digits > text.length - 2 && text.charCodeAt(digits - 1) === EQUALS) digits--
  if (digits % 4 === 1 || (digits !== text.length && text.length % 4 !== 0)) return undefined
  const bytes = Buffer.from(text, 'base64')
  // Node skips what is no digit, and stops at padding: then there are fewer bytes than the digits make.
  return bytes.length === Math.floor((digits * 3) / 4) ? bytes : undefined
}

/** Decodes hexadecimal of either case; nothing if the text is not that. */
export const decodeHex = (text: string): Buffer | undefined =>
  /^([0-9a-fA-F]{2})*$/.test(text) ? Buffer.from(text, 'hex') : undefined

/** The three ways Signal's JSON writes bytes; every field has exactly one of them. */
export type Base64Flavour = 'padded' | 'unpadded' | 'url'

export function encodeBase64(bytes: Uint8Array, flavour: Base64Flavour): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (flavour === 'url') return buffer.toString('base64url')
  const text = buffer.toString('base64')
  return flavour === 'padded' ? text : text.replace(/=+$/, '')
}

/** Bytes as base64: every flavour is read, the named one is written. `size` bounds the decoded length in bytes. */
export const base64 = (
  flavour: Base64Flavour,
  size: { min?: number; max?: number; oneOf?: readonly number[] } = {},
) =>
  z.codec(
    z.string().meta({ contentEncoding: 'base64' }),
    z.custom<Uint8Array>((value) => value instanceof Uint8Array),
    {
      decode: (text, context) => {
        const bytes = decodeBase64(text)
        const wrong =
          bytes === undefined ||
          bytes.length < (size.min ?? 0) ||
          bytes.length > (size.max ?? Number.MAX_SAFE_INTEGER) ||
          (size.oneOf !== undefined && !size.oneOf.includes(bytes.length))
        if (!wrong) return bytes
        context.issues.push({ code: 'custom', message: 'must be base64 of the right size', input: text })
        return z.NEVER
      },
      encode: (bytes) => encodeBase64(bytes, flavour),
    },
  )

const parsed = <T extends string>(what: string, parse: (text: string) => T | undefined) =>
  z.codec(z.string().meta({ description: what }), z.custom<T>(), {
    decode: (text, context) => {
      const value = parse(text)
      if (value !== undefined) return value
      context.issues.push({ code: 'custom', message: `must be ${what}`, input: text })
      return z.NEVER
    },
    encode: (value) => value as string,
  })

export const aci = parsed('an ACI', parseAci)
/** Digits after a plus: whether there is such a number is for rules to say. */
export const e164 = parsed('a phone number in E.164', (text) =>
  /^\+[1-9]\d{4,14}$/.test(text) ? (text as E164) : undefined,
)
export const aciOrNumber = parsed(
  'an ACI or a phone number in E.164',
  (text) => parseAci(text) ?? parseE164(text),
)
export const uuid = parsed<string>('a UUID', parseAci)
export const serviceId = parsed('a service id', parseServiceId)
/** A PNI in the answers that write it as a bare UUID. */
export const barePni = z.codec(z.string(), z.custom<Pni>(), {
  decode: (uuid) => pniFromUuid(uuid),
  encode: (pni) => uuidOf(pni),
})

/** Text of a client's choice. NUL is refused: PostgreSQL keeps none. */
export const text = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((value) => !value.includes('\0'), 'must not contain NUL')

export const deviceId = z.int().min(1).max(MAX_DEVICE_ID)
export const registrationId = z.int().min(1).max(MAX_REGISTRATION_ID)
export const keyId = z.int().min(0).max(MAX_KEY_ID)
export const timestampMs = z.int().min(0).max(MAX_TIMESTAMP_MS)

/** A path or query parameter that is a whole number in decimal. */
export const decimal = (schema: z.ZodType<number, number>) =>
  z.codec(z.string().regex(/^\d{1,15}$/), schema, {
    decode: (text) => Number(text),
    encode: (value) => String(value),
  })

/** A query flag: `true` or `false`, absent means false. */
export const flag = z.codec(z.enum(['true', 'false']).optional(), z.boolean(), {
  decode: (text) => text === 'true',
  encode: (value) => (value ? 'true' : 'false'),
})

/** `{name: true}` in both directions; names that we do not know are ignored. */
export const CAPABILITIES = [
  'storage',
  'transfer',
  'attachmentBackfill',
  'spqr',
  'profiles_v2',
  'usernameChangeSyncMessage',
  'optionalPhoneNumber',
] as const
export type Capability = (typeof CAPABILITIES)[number]

const KNOWN: ReadonlySet<string> = new Set(CAPABILITIES)
export const capabilities = z.codec(
  z.record(z.string(), z.boolean().nullable()),
  z.custom<ReadonlySet<Capability>>(),
  {
    decode: (flags) =>
      new Set(
        Object.keys(flags).filter((name): name is Capability => KNOWN.has(name) && flags[name] === true),
      ),
    encode: (names) => Object.fromEntries([...names].map((name) => [name, true])),
  },
)
