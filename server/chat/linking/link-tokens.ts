// What lets a new device onto an account: signed, ten minutes long, and only for who holds the account's identity keys.
import { createHash, createHmac } from 'node:crypto'
import { type Aci, decodeBase64, parseAci } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { sameSecret } from '../../kit/constant-time.ts'

export const LINK_TOKEN_LIFETIME_MS = 600_000

export type LinkToken = {
  readonly aci: Aci
  readonly madeAtMs: number
  /** Names the token without giving it away: its SHA-256. */
  readonly id: Buffer
}

/** `<aci>.<milliseconds>:<base64url of HMAC-SHA256 over what stands before the colon>` */
export class LinkTokens {
  readonly #secret: Buffer
  readonly #clock: Clock

  /** `secret` must stay secret: whoever has it can make tokens for every account. */
  constructor(secret: Buffer, clock: Clock) {
    this.#secret = secret
    this.#clock = clock
  }

  /** No token is older than `sinceMs`, whatever the clock says. */
  make(aci: Aci, sinceMs: number): { token: string; id: Buffer } {
    const claims = `${aci}.${Math.max(this.#clock.nowMs(), sinceMs)}`
    const token = written(claims, this.#sign(claims))
    return { token, id: idOf(token) }
  }

  /** Nothing if the token is not one of ours, or is over. Whether it was used only the storage knows. */
  read(token: string): LinkToken | undefined {
    const colon = token.indexOf(':')
    const claims = token.slice(0, Math.max(0, colon))
    const signature = decodeBase64(token.slice(colon + 1))
    const expected = this.#sign(claims)
    if (!signature || !sameSecret(signature, expected)) return undefined
    const dot = claims.indexOf('.')
    const aci = parseAci(claims.slice(0, dot))
    const madeAtMs = Number(claims.slice(dot + 1))
    const lasts = this.#clock.nowMs() < madeAtMs + LINK_TOKEN_LIFETIME_MS
    // One id for each token, however its base64 was written: it must not be used twice.
    return aci !== undefined && lasts ? { aci, madeAtMs, id: idOf(written(claims, expected)) } : undefined
  }

  #sign(claims: string): Buffer {
    return createHmac('sha256', this.#secret).update(claims).digest()
  }
}

const written = (claims: string, signature: Buffer) =>
  `${claims}:${signature.toString('base64').replaceAll('+', '-').replaceAll('/', '_')}`
const idOf = (token: string): Buffer => createHash('sha256').update(token).digest()
