// A challenge is made, answered once, and becomes a token, which is looked at once. What is open is in no table: the
// client carries it, sealed; what was used is.
import { z } from 'zod'
import type { Clock } from '../kit/clock.ts'
import { sameSecret } from '../kit/constant-time.ts'
import type { Random } from '../kit/random.ts'
import type { CaptchaEvents } from './events.ts'
import { PICTURE_ALPHABET } from './glyphs.ts'
import { KINDS, type Kind } from './kinds.ts'
import type { Pressure } from './pressure.ts'
import type { ProofOfWork, Puzzle } from './proof-of-work.ts'
import { Seal } from './seal.ts'
import type { SpentStore } from './store.ts'

/** What somebody is asked for: by whom, and what it will count for. */
export type Purpose = {
  readonly site: string
  readonly action: string
  /** Of the page that a widget stands on. */
  readonly origin?: string | undefined
}

const purpose = { site: z.string(), action: z.string(), origin: z.string().optional() }
const challengeClaims = z.strictObject({
  ...{ id: z.string(), kind: z.enum(KINDS), answer: z.string(), expiresAtMs: z.int() },
  ...purpose,
})
const tokenClaims = z.strictObject({
  ...{ id: z.string(), solvedAtMs: z.int(), expiresAtMs: z.int() },
  ...purpose,
})
export type Challenge = z.output<typeof challengeClaims>
export type Token = z.output<typeof tokenClaims>

export type Answered =
  | { readonly kind: 'right'; readonly token: string; readonly purpose: Purpose; readonly lifetimeMs: number }
  /** The challenge tells what another one would be for. */
  | { readonly kind: 'wrong'; readonly challenge: Challenge }
  | { readonly kind: 'none' }

export type Looked =
  | { readonly kind: 'good'; readonly token: Token }
  | { readonly kind: 'none' | 'expired-or-spent' }

export type ChallengesOptions = {
  readonly secret: Uint8Array
  readonly store: SpentStore
  readonly work: ProofOfWork
  readonly pressure: Pressure
  readonly clock: Clock
  readonly random: Random
  readonly events: CaptchaEvents
  /** The most evaluations that a puzzle takes when nobody presses. */
  readonly evaluations: number
  readonly tokenLifetimeMs: number
}

const ID_BYTES = 16
const CHALLENGE_LIFETIME_MS = 600_000
export const PICTURE_LETTERS = 6
export const SOUND_DIGITS = 6

export class Challenges {
  readonly #options: ChallengesOptions
  readonly #challenges: Seal<typeof challengeClaims>
  readonly #tokens: Seal<typeof tokenClaims>

  constructor(options: ChallengesOptions) {
    const { secret, random } = options
    this.#options = options
    this.#challenges = new Seal({ secret, random, purpose: 'captcha challenge', schema: challengeClaims })
    this.#tokens = new Seal({ secret, random, purpose: 'captcha token', schema: tokenClaims })
  }

  /** Work for the device. Who comes from a busy place has more of it. */
  async puzzle(wanted: Purpose, address: string): Promise<{ challenge: string; puzzle: Puzzle }> {
    const { pressure, work, events, evaluations } = this.#options
    pressure.asked(address)
    const factor = pressure.factor(address)
    const { puzzle, key } = await work.make(evaluations * factor)
    events.asked('work', factor)
    return { challenge: this.#seal('work', wanted, key), puzzle }
  }

  /** Something to read or to hear, for who can't or won't have the device work. */
  riddle(kind: 'picture' | 'sound', wanted: Purpose, address: string): string {
    const { pressure, events } = this.#options
    pressure.asked(address)
    events.asked(kind, 1)
    return this.#seal(kind, wanted, kind === 'sound' ? this.#digits() : this.#letters())
  }

  /** What is to be drawn or said; nothing for another kind, or what is no challenge that can be answered still. */
  riddleOf(kind: 'picture' | 'sound', sealed: string): Challenge | undefined {
    const challenge = this.#challenges.open(sealed)
    return challenge?.kind === kind && !this.#isOver(challenge) ? challenge : undefined
  }

  /** A challenge is used up by the first answer, right or wrong. */
  async answer(sealed: string, answer: string, address: string): Promise<Answered> {
    const { store, pressure, events } = this.#options
    const challenge = this.#challenges.open(sealed)
    const right =
      challenge !== undefined &&
      !this.#isOver(challenge) &&
      (await store.spend(challenge)) &&
      sameSecret(challenge.answer, normalized(challenge.kind, answer))
    events.answered(challenge?.kind ?? 'none', right)
    if (right) return this.#tokenFor(challenge)
    pressure.failed(address)
    return challenge ? { kind: 'wrong', challenge } : { kind: 'none' }
  }

  /** Looks at a token, which is used up if it is of this site. */
  async redeem(site: string, sealed: string): Promise<Looked> {
    const { store, events } = this.#options
    const token = this.#tokens.open(sealed)
    const isOurs = token?.site === site
    const isGood = isOurs && !this.#isOver(token) && (await store.spend(token))
    events.verified(isGood)
    if (isGood) return { kind: 'good', token }
    return { kind: isOurs ? 'expired-or-spent' : 'none' }
  }

  #tokenFor({ site, action, origin }: Challenge): Answered {
    const { clock, random, tokenLifetimeMs: lifetimeMs } = this.#options
    const solvedAtMs = clock.nowMs()
    const id = random.bytes(ID_BYTES).toString('base64url')
    const wanted = { site, action, ...(origin !== undefined && { origin }) }
    const token = this.#tokens.seal({ id, solvedAtMs, expiresAtMs: solvedAtMs + lifetimeMs, ...wanted })
    return { kind: 'right', token, purpose: wanted, lifetimeMs }
  }

  #seal(kind: Kind, { site, action, origin }: Purpose, answer: string): string {
    const { clock, random } = this.#options
    const id = random.bytes(ID_BYTES).toString('base64url')
    const expiresAtMs = clock.nowMs() + CHALLENGE_LIFETIME_MS
    return this.#challenges.seal({ id, kind, answer, expiresAtMs, site, action, origin })
  }

  #isOver({ expiresAtMs }: { readonly expiresAtMs: number }): boolean {
    return expiresAtMs <= this.#options.clock.nowMs()
  }

  #digits(): string {
    return this.#options.random.digits(SOUND_DIGITS)
  }

  #letters(): string {
    const end = 256 - (256 % PICTURE_ALPHABET.length)
    let text = ''
    while (text.length < PICTURE_LETTERS) {
      for (const byte of this.#options.random.bytes(PICTURE_LETTERS - text.length))
        if (byte < end) text += PICTURE_ALPHABET[byte % PICTURE_ALPHABET.length]
    }
    return text
  }
}

/** As people type: in either case, with spaces between. A key is taken as it is. */
const normalized = (kind: Kind, answer: string): string =>
  kind === 'work' ? answer : answer.replace(/[\s-]/g, '').toUpperCase()
