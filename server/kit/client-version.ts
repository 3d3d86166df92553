// Which client speaks: `Signal-<Platform>/<version>`, with whatever behind it.

export const PLATFORMS = ['android', 'ios', 'desktop'] as const
export type Platform = (typeof PLATFORMS)[number]

/** Numbers, and what follows a `-`, cut at its dots. */
export type Version = { readonly numbers: readonly number[]; readonly preRelease: readonly string[] }
export type Client = { readonly platform: Platform; readonly version: Version }

/** Longer ones are nobody's. */
const MAX_USER_AGENT = 512
const USER_AGENT = /^signal-(android|ios|desktop)\/([^ ]+)(?: |$)/i
const VERSION = /^(\d{1,9}(?:\.\d{1,9}){0,3})(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?$/

/** `7.1.0`, `7.1.0-beta.2`, `7.1.0.15`. */
export function parseVersion(text: string): Version | undefined {
  const match = VERSION.exec(text)
  if (!match) return undefined
  return { numbers: match[1]!.split('.').map(Number), preRelease: match[2]?.split('.') ?? [] }
}

/** Nothing if it is no user agent of Signal's form. */
export function parseUserAgent(userAgent: string | undefined): Client | undefined {
  if (userAgent === undefined || userAgent.length > MAX_USER_AGENT) return undefined
  const match = USER_AGENT.exec(userAgent)
  const version = match && parseVersion(match[2]!)
  return version ? { platform: match[1]!.toLowerCase() as Platform, version } : undefined
}

const isNumber = (text: string) => /^\d+$/.test(text)

/** semver §11.4: numbers before words, numbers by value, words by their bytes. */
function comparePart(one: string, other: string): number {
  if (isNumber(one) && isNumber(other)) return Number(one) - Number(other)
  if (isNumber(one) !== isNumber(other)) return isNumber(one) ? -1 : 1
  return one < other ? -1 : Number(one > other)
}

function comparePreRelease(one: readonly string[], other: readonly string[]): number {
  // A version without one is the release itself, which comes last.
  if (one.length === 0 || other.length === 0) return other.length - one.length
  for (let index = 0; index < Math.min(one.length, other.length); index++) {
    const order = comparePart(one[index]!, other[index]!)
    if (order !== 0) return order
  }
  return one.length - other.length
}

/** Negative if `one` is older than `other`, 0 if they are the same (semver §11). */
export function compareVersions(one: Version, other: Version): number {
  for (let index = 0; index < Math.max(one.numbers.length, other.numbers.length); index++) {
    const order = (one.numbers[index] ?? 0) - (other.numbers[index] ?? 0)
    if (order !== 0) return order
  }
  return comparePreRelease(one.preRelease, other.preRelease)
}
