// Invites: who holds the secret of one may make an account (docs/protocol/invites.md).
import type { E164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { sameSecret } from '../../kit/constant-time.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import { canonicalForm } from '../accounts/number-forms.ts'
import { readPhoneNumber } from '../accounts/phone-number.ts'
import type { ChatEvents } from '../events.ts'
import { digitsDigest, type InviteCode, inviteHash, newInviteCode, readInviteCode } from './invite-code.ts'
import { type Invite, InviteStore } from './store.ts'

const DIGITS = 6
/** Of one code, by whomever. */
export const TRIES_PER_CODE = 5
/** For so long six digits from the page are good. */
export const DIGITS_LIFE_MS = 1_800_000
/** A session that an invite proved must be known as such as long as it lasts: this is far longer. */
const SESSION_KNOWN_MS = DAY_MS

export type NewInvite = {
  readonly uses: number
  readonly days: number
  /** A valid number: the invite is for nobody else. */
  readonly number: E164 | undefined
  readonly note: string
}

export type Made = {
  readonly invite: Invite
  /** Shown once: nobody can read it again. */
  readonly code: InviteCode
  /** Six digits for the number that it is bound to, as long as the invite. */
  readonly digits: string | undefined
}

export type Taken =
  | { readonly kind: 'taken'; readonly e164: E164; readonly digits: string }
  | { readonly kind: 'no-invite' | 'no-number' | 'other-number' }

/** `over`: used up, expired or revoked since. */
export type Grant =
  | { readonly kind: 'granted'; readonly statements: readonly Statement[] }
  | { readonly kind: 'over' }

export type InvitesOptions = {
  readonly sql: Sql
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly events: ChatEvents
}

export class Invites {
  readonly #store: InviteStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: Limits
  readonly #events: ChatEvents

  constructor({ sql, clock, random, limits, events }: InvitesOptions) {
    this.#store = new InviteStore(sql)
    this.#clock = clock
    this.#random = random
    this.#limits = limits
    this.#events = events
  }

  async create({ uses, days, number, note }: NewInvite): Promise<Made> {
    const code = newInviteCode(this.#random)
    const nowMs = this.#clock.nowMs()
    const invite = {
      id: code.id,
      secretHash: inviteHash(code),
      createdAtMs: nowMs,
      expiresAtMs: nowMs + days * DAY_MS,
      uses,
      usesLeft: uses,
      number: number && canonicalForm(number),
      note,
    }
    await this.#store.add(invite)
    this.#events.inviteMade()
    const digits = number && (await this.#digitsFor(invite, canonicalForm(number), invite.expiresAtMs))
    return { invite, code, digits }
  }

  list(): Promise<Invite[]> {
    return this.#store.list()
  }

  /** False if there is no such invite. What was let in by it stays in. */
  async revoke(id: string): Promise<boolean> {
    const revoked = await this.#store.revoke(id)
    if (revoked) this.#events.inviteRevoked()
    return revoked
  }

  /** `find` for a visitor of the page. Throws `Refusal('rate-limited')`. */
  async visit(typed: string, remoteAddress: string): Promise<Invite | undefined> {
    await this.#limits.take('invitePage', remoteAddress)
    return this.find(typed)
  }

  /** Six digits for a visitor who typed a number. Throws `Refusal('rate-limited')`. */
  async takeDigits(typed: string, number: string, remoteAddress: string): Promise<Taken> {
    const invite = await this.visit(typed, remoteAddress)
    if (!invite) return { kind: 'no-invite' }
    const e164 = numberIn(number)
    if (!e164) return { kind: 'no-number' }
    const digits = await this.digitsFor(invite, e164)
    return digits === undefined ? { kind: 'other-number' } : { kind: 'taken', e164, digits }
  }

  /** The invite of a code, if somebody may still come in by it. */
  async find(typed: string): Promise<Invite | undefined> {
    const invite = await this.known(typed)
    return invite && this.#isGood(invite) ? invite : undefined
  }

  /** The invite of a code, used up and over or not. */
  async known(typed: string): Promise<Invite | undefined> {
    const code = readInviteCode(typed)
    const invite = code && (await this.#store.read(code.id))
    return invite && sameSecret(inviteHash(code!), invite.secretHash) ? invite : undefined
  }

  /** Whether its time has come, whatever is left of it. */
  isOver({ expiresAtMs }: Invite): boolean {
    return expiresAtMs <= this.#clock.nowMs()
  }

  /** Uses an invite up by one; unmet if there is nothing left of it. */
  consumption(id: string): Statement {
    return this.#store.consumption(id, this.#clock.nowMs())
  }

  /**
   * Six digits by which a number's session is proven; those before are worth nothing from then on. Nothing if the invite
   * is for somebody else, or over. Throws `Refusal('rate-limited')`.
   */
  async digitsFor(invite: Invite, e164: E164): Promise<string | undefined> {
    const number = canonicalForm(e164)
    await this.#limits.take('inviteCode', invite.id)
    if (invite.number !== undefined && invite.number !== number) return undefined
    const expiresAtMs = Math.min(this.#clock.nowMs() + DIGITS_LIFE_MS, invite.expiresAtMs)
    return this.#digitsFor(invite, number, expiresAtMs)
  }

  /** What is written with a session's proof, if these are the digits of its number; every call spends a try. */
  async redeem(sessionId: string, e164: E164, digits: string): Promise<readonly Statement[] | undefined> {
    const number = canonicalForm(e164)
    const nowMs = this.#clock.nowMs()
    const tried = await this.#store.tryCodes(number, nowMs)
    const right = tried.filter(({ inviteId, digest }) =>
      sameSecret(digitsDigest(inviteId, number, digits), digest),
    )[0]
    this.#events.inviteTried(right !== undefined)
    return right && this.#store.entering(sessionId, number, right, nowMs + SESSION_KNOWN_MS)
  }

  /** What uses an invite up, in the transaction that relies on a session; nothing if no invite proved it. */
  async grantOf(sessionId: string, e164: E164): Promise<Grant | undefined> {
    const id = await this.#store.inviteOf(sessionId)
    if (id === undefined) return undefined
    const invite = await this.#store.read(id)
    if (!invite || !this.#isGood(invite)) return { kind: 'over' }
    const consumption = this.consumption(id)
    const leaving = this.#store.leaving(sessionId, canonicalForm(e164))
    return { kind: 'granted', statements: [consumption, ...leaving] }
  }

  expire(): Promise<void> {
    return this.#store.expire(this.#clock.nowMs())
  }

  #isGood({ usesLeft, expiresAtMs }: Invite): boolean {
    return usesLeft > 0 && expiresAtMs > this.#clock.nowMs()
  }

  async #digitsFor(invite: Invite, e164: E164, expiresAtMs: number): Promise<string | undefined> {
    const digits = this.#random.digits(DIGITS)
    const digest = digitsDigest(invite.id, e164, digits)
    const code = { e164, inviteId: invite.id, digest, attempts: TRIES_PER_CODE, expiresAtMs }
    return (await this.#store.setCode(code, this.#clock.nowMs())) ? digits : undefined
  }
}

/** A phone number as people write it. */
export function numberIn(typed: string): E164 | undefined {
  const read = readPhoneNumber(typed.trim())
  if (read.kind === 'not-normalized') return read.normalized
  return read.kind === 'valid' ? read.e164 : undefined
}
