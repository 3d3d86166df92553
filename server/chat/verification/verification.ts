// Verification sessions: a client proves that it reads what is sent to a phone number (signal-api §2.1).
import { createHash } from 'node:crypto'
import type { E164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { sameSecret } from '../../kit/constant-time.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import { canonicalForm } from '../accounts/number-forms.ts'
import type { ChatEvents } from '../events.ts'
import { readPhoneNumber } from './phone-number.ts'
import { type Dispatch, SenderChain } from './senders/chain.ts'
import type {
  CheckOutcome,
  ClientKind,
  CodeSender,
  PostedReport,
  SenderFailure,
  Transport,
} from './senders/sender.ts'
import { type Session, VerificationStore } from './store.ts'

export const CODE_DIGITS = 6
/** A session and its code last this long after the code was sent; a verified one this long after that. */
export const LIFETIME_MS = 600_000
export const ATTEMPTS_PER_CODE = 5
/** Seconds to wait before the second, third, … code of a session; after the last there is none. */
const RESEND_AFTER_S = [60, 120, 240, 480]

/** A session as its client sees it; times are seconds from now, null is not possible. */
export type SessionView = {
  readonly id: string
  readonly nextSms: number | null
  readonly nextCall: number | null
  readonly nextVerificationAttempt: number | null
  readonly allowedToRequestCode: boolean
  readonly requestedInformation: ('pushChallenge' | 'captcha')[]
  readonly verified: boolean
}

export type Opened =
  | { readonly kind: 'opened'; readonly session: SessionView }
  | { readonly kind: 'impossible' }
  | { readonly kind: 'not-normalized'; readonly normalized: E164 }
  | { readonly kind: 'obsolete' }

/** `conflict`: verified already, or nothing to be entered. `too-soon`: wait as the session says. */
export type Answered =
  | {
      readonly kind: 'ok' | 'conflict' | 'too-soon'
      readonly session: SessionView
      /** With `too-soon`: when the call can succeed; nothing if it never can. */
      readonly retryAfterSeconds?: number | undefined
    }
  | { readonly kind: 'not-found' }

/** `unavailable`: the number can't be reached by this transport. `not-sent`: no sender took the code, or did not say. */
export type Requested =
  | Answered
  | { readonly kind: 'unavailable'; readonly session: SessionView; readonly retryAfterSeconds?: undefined }
  | {
      readonly kind: 'not-sent'
      readonly failure: SenderFailure
      readonly session: SessionView
      readonly retryAfterSeconds?: undefined
    }

/** What a client says of itself when it asks for a code. */
export type Asking = { readonly languages: readonly string[]; readonly client: ClientKind }
const NOTHING_SAID: Asking = { languages: [], client: 'unknown' }

/** `statement` uses the session up, in the transaction that relies on it. */
export type SessionProof =
  | { readonly kind: 'proven'; readonly statement: Statement }
  | { readonly kind: 'unverified' | 'foreign-session' }

/** What goes with the proof of a number. */
export type OnVerified = (e164: E164) => Promise<readonly Statement[]>

export type VerificationOptions = {
  readonly sql: Sql
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly senders: readonly CodeSender[]
  readonly events: ChatEvents
}

export class Verification {
  readonly #store: VerificationStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: Limits
  readonly #senders: SenderChain
  readonly #events: ChatEvents
  readonly #onVerified: OnVerified[] = []

  constructor(options: VerificationOptions) {
    this.#store = new VerificationStore(options.sql)
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.#senders = new SenderChain(options)
    this.#events = options.events
  }

  async open(number: string): Promise<Opened> {
    const phone = readPhoneNumber(number)
    if (phone.kind !== 'valid') return phone
    await this.#limits.take('verificationSession', canonicalForm(phone.e164))
    const id = this.#random.bytes(24).toString('base64url')
    const nowMs = this.#clock.nowMs()
    await this.#store.open(id, phone.e164, nowMs + LIFETIME_MS, nowMs)
    return { kind: 'opened', session: this.#view(await this.#read(id)) }
  }

  async get(id: string): Promise<SessionView | undefined> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    return session && this.#view(session)
  }

  /** Sends a code; the one before it is worth nothing from then on. */
  async requestCode(id: string, transport: Transport, asking = NOTHING_SAID): Promise<Requested> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    if (!session) return { kind: 'not-found' }
    if (session.verified) return { kind: 'conflict', session: this.#view(session) }
    if (waitSeconds(session, transport, this.#clock.nowMs()) !== 0) return this.#tooSoon(session, transport)
    if (!this.#senders.knows(transport)) return { kind: 'unavailable', session: this.#view(session) }
    const code = this.#random.digits(CODE_DIGITS)
    const delivery = this.#random.bytes(18).toString('base64url')
    const sentAtMs = this.#clock.nowMs()
    const noted = await this.#store.noteCode(session, transport, {
      digest: digestOf(id, code),
      sentAtMs,
      expiresAtMs: sentAtMs + LIFETIME_MS,
      attempts: ATTEMPTS_PER_CODE,
      delivery,
    })
    if (!noted) return this.#tooSoon(await this.#read(id), transport)
    const request = { to: session.e164, transport, code, delivery, ...asking }
    const dispatch = await this.#senders.send(request, session.failedSender)
    if (dispatch.kind === 'closed') throw new Refusal('unavailable')
    await this.#noteDispatch(delivery, transport, dispatch)
    return this.#answer(await this.#read(id), transport, dispatch)
  }

  /** A provider tells what became of a code; false if it was not the provider. */
  async report(sender: string, posted: PostedReport): Promise<boolean> {
    const report = this.#senders.read(sender, posted)
    if (report?.state === 'failed') await this.#store.noteFailure(posted.delivery, report.transport, sender)
    return report !== undefined
  }

  /** A wrong code is no failure of the call: the session tells that it is not verified. */
  async submitCode(id: string, code: string): Promise<Answered> {
    const nowMs = this.#clock.nowMs()
    const session = await this.#store.read(id, nowMs)
    if (!session) return { kind: 'not-found' }
    const spent =
      !session.verified && session.codeDigest !== undefined && (await this.#store.spendAttempt(id, nowMs))
    if (!spent) return { kind: 'conflict', session: this.#view(session) }
    const checked = await this.#check(session, code)
    if (checked === 'unavailable') throw new Refusal('unavailable')
    if (checked === 'over') return { kind: 'conflict', session: this.#view(await this.#read(id)) }
    this.#events.codeEntered(checked === 'right')
    if (checked === 'right') await this.#verify(session, nowMs + LIFETIME_MS)
    return { kind: 'ok', session: this.#view(await this.#read(id)) }
  }

  /** Whoever waits for a provider waits no longer. */
  close(): void {
    this.#senders.close()
  }

  /** Registers what is written together with the proof of a number. */
  onVerified(statements: OnVerified): void {
    this.#onVerified.push(statements)
  }

  /** Whether a session verified this number; a session can be relied on once. */
  async prove(id: string, e164: E164): Promise<SessionProof> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    if (!session) return { kind: 'unverified' }
    if (session.e164 !== e164) return { kind: 'foreign-session' }
    return session.verified
      ? { kind: 'proven', statement: this.#store.consumption(id) }
      : { kind: 'unverified' }
  }

  async #verify({ id, e164 }: Session, expiresAtMs: number): Promise<void> {
    const others = await Promise.all(this.#onVerified.map((statements) => statements(e164)))
    await this.#store.verify(id, expiresAtMs, others.flat())
  }

  async #read(id: string): Promise<Session> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    if (!session) throw new Refusal('not-found')
    return session
  }

  #tooSoon(session: Session, transport: Transport): Answered {
    const retryAfterSeconds = waitSeconds(session, transport, this.#clock.nowMs()) ?? undefined
    return { kind: 'too-soon', session: this.#view(session), retryAfterSeconds }
  }

  async #noteDispatch(delivery: string, transport: Transport, dispatch: Dispatch): Promise<void> {
    const { kind, sender } = dispatch
    this.#events.codeSent(transport, kind === 'sent')
    if (kind === 'sent') await this.#store.noteSender(delivery, sender, dispatch.check ?? '')
    if (kind === 'unknown') await this.#store.noteFailure(delivery, transport, sender)
  }

  #answer(
    session: Session,
    transport: Transport,
    dispatch: Exclude<Dispatch, { kind: 'closed' }>,
  ): Requested {
    const view = this.#view(session)
    switch (dispatch.kind) {
      case 'sent':
        return { kind: 'ok', session: view }
      case 'not-allowed':
        return { kind: 'unavailable', session: view }
      case 'rate-limited': {
        const ownSeconds = waitSeconds(session, transport, this.#clock.nowMs()) ?? 0
        const retryAfterSeconds = Math.max(ownSeconds, dispatch.retryAfterSeconds ?? 0)
        return { kind: 'too-soon', session: view, retryAfterSeconds }
      }
      case 'refused':
        return { kind: 'not-sent', session: view, failure: failureOf(dispatch) }
      case 'unknown':
        return { kind: 'not-sent', session: view, failure: UNKNOWN_FAILURE }
    }
  }

  async #check({ id, sender, senderCheck, codeDigest }: Session, code: string): Promise<CheckOutcome> {
    if (senderCheck !== '') return this.#senders.check(sender, senderCheck, code)
    return sameSecret(digestOf(id, code), codeDigest!) ? 'right' : 'wrong'
  }

  #view(session: Session): SessionView {
    const nowMs = this.#clock.nowMs()
    const open = !session.verified
    const enterable =
      open && session.codeDigest !== undefined && session.attemptsLeft > 0 && session.codeExpiresAtMs > nowMs
    return {
      id: session.id,
      nextSms: open && this.#senders.knows('sms') ? waitSeconds(session, 'sms', nowMs) : null,
      nextCall: open && this.#senders.knows('voice') ? waitSeconds(session, 'voice', nowMs) : null,
      nextVerificationAttempt: enterable ? 0 : null,
      allowedToRequestCode: open,
      requestedInformation: [],
      verified: session.verified,
    }
  }
}

/** Seconds until another code may be sent that way; null if the session has had all it gets. */
function waitSeconds(session: Session, transport: Transport, nowMs: number): number | null {
  const { count, lastAtMs } = session.sent[transport]
  if (count === 0) return 0
  const afterS = RESEND_AFTER_S[count - 1]
  return afterS === undefined ? null : Math.max(0, Math.ceil((lastAtMs + afterS * 1000 - nowMs) / 1000))
}

const failureOf = ({ reason, permanentFailure }: SenderFailure): SenderFailure => ({
  reason,
  permanentFailure,
})
const UNKNOWN_FAILURE: SenderFailure = { reason: 'providerUnavailable', permanentFailure: false }

const digestOf = (id: string, code: string): Buffer => createHash('sha256').update(`${id}:${code}`).digest()
