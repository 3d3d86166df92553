// What lets a client put or get an object: tokens for resumable uploads and for backups, and signed addresses. The
// chat server signs, the file store verifies; docs/protocol/attachments.md says to the byte what is bound.

import { createHmac } from 'node:crypto'
import type { Clock } from './clock.ts'
import { sameSecret } from './constant-time.ts'
import { DAY_SECONDS } from './days.ts'

/** `attachments` may be put only; `backups` says in its scope what it allows. */
export type UploadClaims =
  | { readonly audience: 'attachments'; readonly subject: string; readonly maxBytes: number }
  | {
      readonly audience: 'backups'
      readonly scope: 'write'
      readonly subject: string
      readonly maxBytes: number
    }
  /** `subject` is a folder: everything in it may be read. */
  | { readonly audience: 'backups'; readonly scope: 'read'; readonly subject: string }

export type SignedAddress = {
  readonly method: 'POST' | 'PUT'
  /** From the root of the file store: `/attachments/<key>`. */
  readonly path: string
  readonly maxBytes: number
  /** Whole seconds since 1970. */
  readonly expiresAtS: number
}

/** A token is good for so long after it was issued. */
export const TOKEN_LIFETIME_S = 7 * DAY_SECONDS
/** A signed address is good for so long, and none is believed that promises more. */
export const ADDRESS_LIFETIME_S = 25 * 3600
/** How far another host's clock may be ahead. */
const SKEW_S = 300

/** RFC 7515 §3.1. There is one kind of token, so its header is a constant, and no other is read. */
const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')
/** No token begins like this: a signature of one kind is never one of the other. */
const ADDRESS_PREFIX = 'heliograph-signed-address-1'

export class UploadSignatures {
  readonly #key: Uint8Array
  readonly #clock: Clock

  constructor(bearerKey: Uint8Array, clock: Clock) {
    this.#key = bearerKey
    this.#clock = clock
  }

  /** A compact JWS (RFC 7515) with HMAC-SHA256. */
  token(claims: UploadClaims): string {
    const payload = JSON.stringify({
      aud: claims.audience,
      sub: claims.subject,
      iat: this.#nowS(),
      ...('maxBytes' in claims && { maxLen: claims.maxBytes }),
      ...('scope' in claims && { scope: claims.scope }),
    })
    const input = `${HEADER}.${Buffer.from(payload).toString('base64url')}`
    return `${input}.${this.#mac(input).toString('base64url')}`
  }

  /** What a token of ours allows, if it is one and not too old. */
  verifyToken(token: string): UploadClaims | undefined {
    const [header, payload, signature, ...more] = token.split('.')
    if (header !== HEADER || !payload || !signature || more.length > 0) return undefined
    if (!this.#matches(`${header}.${payload}`, signature)) return undefined
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return this.#isFresh(claims.iat) ? read(claims) : undefined
  }

  /** The query of a signed address: `e` expires, `l` bytes at most, `s` signature. */
  addressQuery(address: Omit<SignedAddress, 'expiresAtS'>): string {
    const expiresAtS = this.#nowS() + ADDRESS_LIFETIME_S
    const signature = this.#mac(addressText({ ...address, expiresAtS }))
    return `e=${expiresAtS}&l=${address.maxBytes}&s=${signature.toString('base64url')}`
  }

  /** Whether a request of this method and path may use a query of ours; gives the most bytes that it may send. */
  verifyAddress(method: string, path: string, query: string): { readonly maxBytes: number } | undefined {
    const match = /^e=(\d{1,12})&l=(\d{1,15})&s=([\w-]{43})$/.exec(query)
    if (!match || (method !== 'POST' && method !== 'PUT')) return undefined
    const [expiresAtS, maxBytes] = [Number(match[1]), Number(match[2])]
    const text = addressText({ method, path, maxBytes, expiresAtS })
    if (!this.#matches(text, match[3]!)) return undefined
    const leftS = expiresAtS - this.#nowS()
    return leftS > 0 && leftS <= ADDRESS_LIFETIME_S + SKEW_S ? { maxBytes } : undefined
  }

  /** As texts: one signature has one way to be written. */
  #matches(text: string, signature: string): boolean {
    const [expected, given] = [this.#mac(text).toString('base64url'), signature].map((one) =>
      Buffer.from(one),
    )
    return sameSecret(given!, expected!)
  }

  #isFresh(issuedAtS: unknown): boolean {
    if (typeof issuedAtS !== 'number') return false
    const ageS = this.#nowS() - issuedAtS
    return ageS >= -SKEW_S && ageS < TOKEN_LIFETIME_S
  }

  #mac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest()
  }

  #nowS(): number {
    return Math.floor(this.#clock.nowMs() / 1000)
  }
}

/** Lines, so that no two different addresses make one text: a path has no line breaks. */
const addressText = ({ method, path, maxBytes, expiresAtS }: SignedAddress): string =>
  [ADDRESS_PREFIX, method, path, expiresAtS, maxBytes].join('\n')

type Payload = Readonly<Record<'aud' | 'sub' | 'maxLen' | 'scope', unknown>>

function read({ aud, sub, maxLen, scope }: Payload): UploadClaims | undefined {
  if (typeof sub !== 'string') return undefined
  if (aud === 'backups' && scope === 'read') return { audience: aud, scope, subject: sub }
  if (typeof maxLen !== 'number') return undefined
  if (aud === 'attachments') return { audience: aud, subject: sub, maxBytes: maxLen }
  if (aud === 'backups' && scope === 'write') return { audience: aud, scope, subject: sub, maxBytes: maxLen }
  return undefined
}
