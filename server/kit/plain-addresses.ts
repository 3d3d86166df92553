// Signed addresses for whoever has nothing but an HTTP client: `curl -T file <address>` (docs/protocol/files-plain.md).
import { createHmac } from 'node:crypto'
import type { Clock } from './clock.ts'
import { sameSecret } from './constant-time.ts'
import { DAY_SECONDS } from './days.ts'
import type { SigningKeys } from './upload-keys.ts'

export type PlainAddress = {
  /** What the object is called: letters, digits, `_` and `-`. */
  readonly name: string
  readonly maxBytes: number
  /** Whole seconds since 1970. */
  readonly expiresAtS: number
}

export const PLAIN_NAME = /^[\w-]{8,64}$/
/** None is believed that promises more. */
export const PLAIN_LIFETIME_S = 7 * DAY_SECONDS
/** How far another host's clock may be ahead. */
const SKEW_S = 300
const PREFIX = 'heliograph-plain-upload-1'

/** Its own key, so that a script that signs addresses can sign nothing else. Must stay secret. */
export const plainKey = (bearerKey: Uint8Array): Buffer =>
  createHmac('sha256', bearerKey).update(PREFIX).digest()

/** A key of plain addresses, and until when it signs; without end if it is the newest. */
export type PlainKey = { readonly key: Uint8Array; readonly signsUntilMs: number }

export const plainKeysOf = (sets: readonly SigningKeys[]): PlainKey[] =>
  sets.map(({ bearerKey, signsUntilMs }) => ({ key: plainKey(bearerKey), signsUntilMs }))

/** `/plain/<name>?e=<expires, s>&l=<bytes>&s=<signature>` */
export function plainAddress(key: Uint8Array, address: PlainAddress): string {
  const { name, maxBytes, expiresAtS } = address
  return `/plain/${name}?e=${expiresAtS}&l=${maxBytes}&s=${signatureOf(key, 'PUT', address)}`
}

/** The most bytes that a request may send, if its method, its name and its query are those of a signed address. */
export function verifyPlainAddress(
  keys: readonly PlainKey[],
  clock: Pick<Clock, 'nowMs'>,
  { method, name, query }: { readonly method: string; readonly name: string; readonly query: string },
): number | undefined {
  const match = /^e=(0|[1-9]\d{0,11})&l=([1-9]\d{0,14})&s=([\w-]{43})$/.exec(query)
  if (!match || !PLAIN_NAME.test(name)) return undefined
  const [expiresAtS, maxBytes] = [Number(match[1]), Number(match[2])]
  // As texts: one signature has one way to be written.
  const used = keys.find(({ key }) =>
    sameSecret(match[3]!, signatureOf(key, method, { name, maxBytes, expiresAtS })),
  )
  const nowS = Math.floor(clock.nowMs() / 1000)
  if (!used || expiresAtS <= nowS) return undefined
  const signedByS = Math.min(nowS, Math.floor(used.signsUntilMs / 1000))
  return expiresAtS - signedByS <= PLAIN_LIFETIME_S + SKEW_S ? maxBytes : undefined
}

/** Of lines, so that no two addresses make one text: no part of one has a line break. */
function signatureOf(key: Uint8Array, method: string, { name, maxBytes, expiresAtS }: PlainAddress): string {
  const text = [PREFIX, method, name, expiresAtS, maxBytes].join('\n')
  return createHmac('sha256', key).update(text).digest('base64url')
}
