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
import { readPhoneNumber } from '../accounts/phone-number.ts'
import type { PushToken } from '../challenges/push.ts'
import type { ChatEvents } from '../events.ts'
import type { Budgets, Spending } from './budgets/budgets.ts'
import { type Dispatch, SenderChain } from './senders/chain.ts'
import type {
  CheckOutcome,
  ClientKind,
  CodeSender,
  PostedReport,
  SenderFailure,
  Transport,
} from './senders/sender.ts'
import { type Answers, SessionChallenges, type SessionChallengesOptions } from './session-challenges.ts'
import type { SessionPolicy } from './session-policy.ts'
import { type SessionView, viewOf, waitSeconds } from './session-view.ts'
import { type NewCode, type Session, VerificationStore } from './store.ts'

export const CODE_DIGITS = 6
/** A session and its code last this long after the code was sent; a verified one this long after that. */
export const LIFETIME_MS = 600_000
export const ATTEMPTS_PER_CODE = 5

export type Opened =
  | { readonly kind: 'opened'; readonly session: SessionView }
  | { readonly kind: 'impossible' }
  | { readonly kind: 'not-normalized'; readonly normalized: E164 }
  | { readonly kind: 'obsolete' }

/** `conflict`: verified already, nothing to be entered, or something to be shown first. `too-soon`: wait as the session says. */
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

/** `wrong`: the captcha or the push challenge was. */
export type Updated =
  | {
      readonly kind: 'ok' | 'wrong' | 'too-soon'
      readonly session: SessionView
      readonly retryAfterSeconds?: number | undefined
    }
  | { readonly kind: 'not-found' }

/** What a client says of itself when it asks for a code, and from where. */
export type Asking = {
  readonly languages: readonly string[]
  readonly client: ClientKind
  readonly remoteAddress: string
}
const NOTHING_SAID: Asking = { languages: [], client: 'unknown', remoteAddress: 'unknown' }

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
  /** Without them codes cost nothing. */
  readonly budgets: Budgets | undefined
  readonly policy: SessionPolicy
} & Omit<SessionChallengesOptions, 'store'>

export class Verification {
  readonly #store: VerificationStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: Limits
  readonly #senders: SenderChain
  readonly #events: ChatEvents
  readonly #challenges: SessionChallenges
  readonly #budgets: Budgets | undefined
  readonly #policy: SessionPolicy
  readonly #onVerified: OnVerified[] = []
  readonly #onCodeRequested: ((e164: E164) => void)[] = []

  constructor(options: VerificationOptions) {
    this.#store = new VerificationStore(options.sql)
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.#senders = new SenderChain(options)
    this.#events = options.events
    this.#budgets = options.budgets
    this.#policy = options.policy
    this.#challenges = new SessionChallenges({ ...options, store: this.#store })
  }

  /** To `pushToken` goes a challenge, if one is asked for at all. */
  async open(number: string, pushToken?: PushToken): Promise<Opened> {
    const phone = readPhoneNumber(number)
    if (phone.kind !== 'valid') return phone
    await this.#policy.mayAsk()
    await this.#limits.take('verificationSession', canonicalForm(phone.e164))
    const id = this.#random.bytes(24).toString('base64url')
    const nowMs = this.#clock.nowMs()
    const { e164 } = phone
    const wantsCaptcha = this.#challenges.demanded
    await this.#store.open({ id, e164, expiresAtMs: nowMs + LIFETIME_MS, wantsCaptcha }, nowMs)
    if (pushToken) await this.#challenges.sendPush(id, pushToken)
    return { kind: 'opened', session: this.#view(await this.#read(id)) }
  }

  /** What a client shows, that no machine asks. What is right is kept, whatever else was wrong. */
  async update(id: string, answers: Answers): Promise<Updated> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    if (!session) return { kind: 'not-found' }
    try {
      const right = await this.#challenges.answer(session, answers)
      return { kind: right ? 'ok' : 'wrong', session: this.#view(await this.#read(id)) }
    } catch (error) {
      if (!(error instanceof Refusal) || error.kind !== 'rate-limited') throw error
      const { retryAfterSeconds } = error.detail
      return { kind: 'too-soon', session: this.#view(await this.#read(id)), retryAfterSeconds }
    }
  }

  async get(id: string): Promise<SessionView | undefined> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    return session && this.#view(session)
  }

  /** Sends a code; the one before it is worth nothing from then on. */
  async requestCode(id: string, transport: Transport, asking = NOTHING_SAID): Promise<Requested> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    if (!session) return { kind: 'not-found' }
    const view = this.#view(session)
    if (!view.allowedToRequestCode) return { kind: 'conflict', session: view }
    if (waitSeconds(session, transport, this.#clock.nowMs()) !== 0) return this.#tooSoon(session, transport)
    await this.#policy.mayAsk()
    if (!this.#offers(transport)) return { kind: 'unavailable', session: view }
    if (!(await this.#policy.sendsTo(session.e164))) return this.#withoutSending(session, transport)
    const plan = (await this.#budgets?.plan(session.e164, transport, asking.remoteAddress)) ?? FREE
    if (plan.kind === 'unavailable') return { kind: 'unavailable', session: view }
    if (plan.kind === 'refused') return { kind: 'not-sent', failure: REJECTED, session: view }
    return this.#send(session, transport, asking, plan)
  }

  async #send(session: Session, transport: Transport, asking: Asking, plan: Spending): Promise<Requested> {
    const { id, e164: to, failedSender } = session
    const { languages, client } = asking
    const code = this.#newCode(id)
    const noted = await this.#store.noteCode(session, transport, code, plan.statements)
    if (noted === 'overtaken') return this.#tooSoon(await this.#read(id), transport)
    if (noted !== 'noted') return this.#overBudget(session, transport, plan, noted.unmet)
    const { delivery } = code
    const request = { to, transport, code: code.digits, delivery, languages, client }
    const dispatch = await this.#senders.send(request, failedSender)
    if (dispatch.kind === 'closed') throw new Refusal('unavailable')
    await this.#noteDispatch(delivery, transport, dispatch)
    if (dispatch.kind === 'sent' || dispatch.kind === 'unknown')
      for (const tell of this.#onCodeRequested) tell(to)
    else await this.#budgets?.notSent(plan)
    return this.#answer(await this.#read(id), transport, dispatch)
  }

  #newCode(id: string): NewCode & { readonly digits: string } {
    const digits = this.#random.digits(CODE_DIGITS)
    const sentAtMs = this.#clock.nowMs()
    return {
      digits,
      digest: digestOf(id, digits),
      sentAtMs,
      expiresAtMs: sentAtMs + LIFETIME_MS,
      attempts: ATTEMPTS_PER_CODE,
      delivery: this.#random.bytes(18).toString('base64url'),
    }
  }

  /** Nothing was sent, and the session is as it was: it can be asked again when there is budget. */
  async #overBudget(
    session: Session,
    transport: Transport,
    plan: Spending,
    unmet: number,
  ): Promise<Answered> {
    const retryAfterSeconds = await this.#budgets!.refuse(plan, unmet)
    const field = transport === 'sms' ? 'nextSms' : 'nextCall'
    return {
      kind: 'too-soon',
      session: { ...this.#view(session), [field]: retryAfterSeconds },
      retryAfterSeconds,
    }
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
    if (checked === 'right') await this.#verify(session, nowMs + LIFETIME_MS)
    else await this.#redeem(session, code, nowMs + LIFETIME_MS)
    const left = await this.#read(id)
    this.#events.codeEntered(left.verified)
    return { kind: 'ok', session: this.#view(left) }
  }

  /** Forgets sessions that are over, and what was counted of codes. */
  async expire(): Promise<void> {
    await this.#store.expire(this.#clock.nowMs())
    await this.#budgets?.expire()
  }

  /** Whoever waits for a provider waits no longer. */
  close(): void {
    this.#senders.close()
  }

  /** Registers what is written together with the proof of a number. */
  onVerified(statements: OnVerified): void {
    this.#onVerified.push(statements)
  }

  /** Registers who hears that somebody asked for a code that may arrive. */
  onCodeRequested(told: (e164: E164) => void): void {
    this.#onCodeRequested.push(told)
  }

  /** Whether a session verified this number; a session can be relied on once. */
  async prove(id: string, e164: E164): Promise<SessionProof> {
    const session = await this.#store.read(id, this.#clock.nowMs())
    if (!session) return { kind: 'unverified' }
    if (canonicalForm(session.e164) !== canonicalForm(e164)) return { kind: 'foreign-session' }
    return session.verified
      ? { kind: 'proven', statement: this.#store.consumption(id) }
      : { kind: 'unverified' }
  }

  async #verify({ id, e164, codeTransport, codeSentAtMs }: Session, expiresAtMs: number): Promise<void> {
    const others = await Promise.all(this.#onVerified.map((statements) => statements(e164)))
    if (!(await this.#store.verify(id, expiresAtMs, others.flat()))) return
    await this.#budgets?.entered(e164, codeTransport, codeSentAtMs)
  }

  /** What goes with a number that was proven does not go with one that was let in. */
  async #redeem({ id, e164 }: Session, code: string, expiresAtMs: number): Promise<void> {
    const statements = await this.#policy.redeem(id, e164, code)
    if (statements) await this.#store.verify(id, expiresAtMs, statements)
  }

  /** The same for every number to which nothing is sent, whether it has a code from elsewhere or not. */
  async #withoutSending(session: Session, transport: Transport): Promise<Requested> {
    const { sms, voice } = session.sent
    if (sms.count + voice.count > 0)
      return { kind: 'not-sent', session: this.#view(session), failure: REJECTED }
    const unguessable = { ...this.#newCode(session.id), digest: this.#random.bytes(32) }
    const noted = await this.#store.noteCode(session, transport, unguessable, [])
    const read = await this.#read(session.id)
    return noted === 'noted' ? { kind: 'ok', session: this.#view(read) } : this.#tooSoon(read, transport)
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
    return viewOf(session, this.#clock.nowMs(), (transport) => this.#offers(transport))
  }

  #offers(transport: Transport): boolean {
    return this.#senders.knows(transport) && this.#budgets?.offers(transport) !== false
  }
}

const failureOf = ({ reason, permanentFailure }: SenderFailure): SenderFailure => ({
  reason,
  permanentFailure,
})
const REJECTED: SenderFailure = { reason: 'providerRejected', permanentFailure: true }
const FREE: Spending = { kind: 'spending', statements: [], steps: [], breakers: [], nowMs: 0 }
const UNKNOWN_FAILURE: SenderFailure = { reason: 'providerUnavailable', permanentFailure: false }

const digestOf = (id: string, code: string): Buffer => createHash('sha256').update(`${id}:${code}`).digest()
