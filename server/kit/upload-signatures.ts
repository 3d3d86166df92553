// What lets a client put or get an object: tokens for resumable uploads and for backups, and signed addresses. The
// chat server signs, the file store verifies; docs/protocol/attachments.md says to the byte what is bound.
import { createHmac } from 'node:crypto'
import type { Clock } from './clock.ts'
import { sameSecret } from './constant-time.ts'
import { DAY_SECONDS } from './days.ts'
import type { UploadKeyRing } from './upload-keys.ts'

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
  readonly #keys: UploadKeyRing
  readonly #clock: Clock

  constructor(keys: UploadKeyRing, clock: Clock) {
    this.#keys = keys
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
    return `${input}.${this.#sign(input)}`
  }

  /** What a token of ours allows, if it is one and not too old. */
  verifyToken(token: string): UploadClaims | undefined {
    const [header, payload, signature, ...more] = token.split('.')
    if (header !== HEADER || !payload || !signature || more.length > 0) return undefined
    const signedByS = this.#signedByS(`${header}.${payload}`, signature)
    if (signedByS === undefined) return undefined
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return this.#isFresh(claims.iat, signedByS) ? read(claims) : undefined
  }

  /** The query of a signed address: `e` expires, `l` bytes at most, `s` signature. */
  addressQuery(address: Omit<SignedAddress, 'expiresAtS'>): string {
    const expiresAtS = this.#nowS() + ADDRESS_LIFETIME_S
    const signature = this.#sign(addressText({ ...address, expiresAtS }))
    return `e=${expiresAtS}&l=${address.maxBytes}&s=${signature}`
  }

  /** Whether a request of this method and path may use a query of ours; gives the most bytes that it may send. */
  verifyAddress(method: string, path: string, query: string): { readonly maxBytes: number } | undefined {
    const match = /^e=(\d{1,12})&l=(\d{1,15})&s=([\w-]{43})$/.exec(query)
    if (!match || (method !== 'POST' && method !== 'PUT')) return undefined
    const [expiresAtS, maxBytes] = [Number(match[1]), Number(match[2])]
    const text = addressText({ method, path, maxBytes, expiresAtS })
    const signedByS = this.#signedByS(text, match[3]!)
    if (signedByS === undefined || expiresAtS <= this.#nowS()) return undefined
    return expiresAtS - signedByS <= ADDRESS_LIFETIME_S + SKEW_S ? { maxBytes } : undefined
  }

  #sign(text: string): string {
    return macOf(this.#keys.signing(this.#clock.nowMs()).bearerKey, text)
  }

  /** When this signature was made at the latest, in seconds: now, or when its key was exchanged. Undefined if it is none. */
  #signedByS(text: string, signature: string): number | undefined {
    const keys = this.#keys.verifying(this.#clock.nowMs())
    // As texts: one signature has one way to be written.
    const key = keys.find(({ bearerKey }) => sameSecret(signature, macOf(bearerKey, text)))
    return key && Math.min(this.#nowS(), Math.floor(key.signsUntilMs / 1000))
  }

  #isFresh(issuedAtS: unknown, signedByS: number): boolean {
    if (typeof issuedAtS !== 'number') return false
    return issuedAtS - signedByS <= SKEW_S && this.#nowS() - issuedAtS < TOKEN_LIFETIME_S
  }

  #nowS(): number {
    return Math.floor(this.#clock.nowMs() / 1000)
  }
}

const macOf = (key: Uint8Array, text: string): string =>
  createHmac('sha256', key).update(text).digest('base64url')

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
