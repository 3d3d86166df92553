// How many codes may be sent, so that nobody earns by asking for them (docs/protocol/verification.md). What is refused here
// reaches no sender.
import { createHmac } from 'node:crypto'
import type { E164 } from '../../../../wire/types.ts'
import { isLoopback } from '../../../kit/address.ts'
import type { Clock } from '../../../kit/clock.ts'
import type { CodeBreaker, CodeBudgets } from '../../../kit/config-codes.ts'
import type { Sql, Statement } from '../../../kit/sql/sql.ts'
import { canonicalForm } from '../../accounts/number-forms.ts'
import type { ChatEvents } from '../../events.ts'
import type { Transport } from '../senders/sender.ts'
import { type Breaker, type BreakerRule, type Budget, BudgetStore } from './budget-store.ts'
import { type Destination, destinationOf } from './destination.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** A country has many prefixes: it is judged by as many times more codes. */
const COUNTRY_SAMPLES = 5

export type BudgetsOptions = {
  readonly sql: Sql
  readonly clock: Clock
  readonly events: ChatEvents
  /** Hides numbers and addresses; must stay secret, and the same as long as there are budgets. */
  readonly secret: Uint8Array
  readonly codes: CodeBudgets
  readonly codeBreaker: CodeBreaker
}

/** What a code costs. Its statements belong into the transaction that notes the code: one is unmet where it is too much. */
export type Spending = {
  readonly kind: 'spending'
  readonly statements: readonly Statement[]
  readonly steps: readonly Step[]
  readonly breakers: readonly Breaker[]
  readonly nowMs: number
}

/** `refused`: numbers like this one get no codes. `unavailable`: not by this transport. */
export type Plan = Spending | { readonly kind: 'refused' } | { readonly kind: 'unavailable' }

type Reason = 'number' | 'address' | 'prefix' | 'country' | 'total' | 'breaker'
type Step = {
  readonly why: Reason
  /** Nobody's number and nobody's address. */
  readonly prefix: string | undefined
  readonly statement: Statement
  /** When it is met again. */
  readonly endsAtMs: () => Promise<number>
}

export class Budgets {
  readonly #options: BudgetsOptions
  readonly #store: BudgetStore
  readonly #rule: BreakerRule

  constructor(options: BudgetsOptions) {
    this.#options = options
    this.#store = new BudgetStore(options.sql)
    const { sample, percent, graceMinutes, windowHours, pauseMinutes, trials } = options.codeBreaker
    this.#rule = {
      ...{ sample, percent, trials },
      graceMs: graceMinutes * MINUTE_MS,
      windowMs: windowHours * HOUR_MS,
      pauseMs: pauseMinutes * MINUTE_MS,
    }
  }

  /** Whether any code may go that way. */
  offers(transport: Transport): boolean {
    const { hour, day } = this.#options.codes[transport]
    return hour > 0 && day > 0
  }

  /** What a code to this number would cost; closes what has to be closed first. */
  async plan(e164: E164, transport: Transport, remoteAddress: string): Promise<Plan> {
    const { events, clock, codes } = this.#options
    const destination = destinationOf(e164, codes.prefixDigits)
    const denied = this.#denies(destination, transport)
    if (denied) {
      events.codeRefused(denied, transport)
      return { kind: denied === 'transport' ? 'unavailable' : 'refused' }
    }
    const nowMs = clock.nowMs()
    const breakers = this.#breakersOf(destination, transport)
    const closed = await this.#store.closeIdle(breakers, nowMs)
    for (const [at, { prefix }] of breakers.entries()) if (closed[at]) events.prefixClosed(prefix, transport)
    const steps = this.#stepsOf(e164, destination, breakers, remoteAddress, nowMs)
    return { kind: 'spending', statements: steps.map(({ statement }) => statement), steps, breakers, nowMs }
  }

  /** Seconds until the statement at `unmet` of a spending can be met. */
  async refuse({ steps, breakers }: Spending, unmet: number): Promise<number> {
    const { events, clock } = this.#options
    const { why, prefix, endsAtMs } = steps[unmet]!
    events.codeRefused(why, breakers[0]!.transport, prefix)
    return Math.max(1, Math.ceil(((await endsAtMs()) - clock.nowMs()) / 1000))
  }

  /** No sender took the code: nobody has to enter it. */
  async notSent({ breakers, nowMs }: Spending): Promise<void> {
    await this.#store.notSent(breakers, nowMs)
  }

  /** A code that was sent then was entered: call it once. */
  async entered(e164: E164, transport: Transport, sentAtMs: number): Promise<void> {
    const { clock, events, codes } = this.#options
    const breakers = this.#breakersOf(destinationOf(e164, codes.prefixDigits), transport)
    const opened = await this.#store.noteEntered(breakers, sentAtMs, clock.nowMs())
    for (const [at, { prefix }] of breakers.entries()) if (opened[at]) events.prefixOpened(prefix, transport)
  }

  async expire(): Promise<void> {
    await this.#store.expire(this.#options.clock.nowMs(), this.#rule.windowMs)
  }

  #denies({ country, callingCode, type }: Destination, transport: Transport): string | undefined {
    const { countries, deniedCountries, refusedTypes } = this.#options.codes
    const isIn = (list: readonly string[]) => list.includes(country) || list.includes(callingCode)
    if (isIn(deniedCountries) || (countries.length > 0 && !isIn(countries))) return 'country-denied'
    if (refusedTypes.includes(type)) return 'type-refused'
    // Nobody reads an SMS on such a telephone.
    if (transport === 'sms' && type === 'fixed-line') return 'transport'
    return this.offers(transport) ? undefined : 'transport'
  }

  #breakersOf({ country, prefix }: Destination, transport: Transport): Breaker[] {
    const rule = this.#rule
    const ofCountry = { ...rule, sample: rule.sample * COUNTRY_SAMPLES }
    return [
      { prefix, transport, rule },
      { prefix: country, transport, rule: ofCountry },
    ]
  }

  /** In this order always, so that no two lists wait for one another. */
  #stepsOf(
    e164: E164,
    { country, prefix }: Destination,
    breakers: readonly Breaker[],
    remoteAddress: string,
    nowMs: number,
  ): Step[] {
    const { codes } = this.#options
    const { transport } = breakers[0]!
    const budget = (why: Reason, key: string, limit: Omit<Budget, 'key'>, place?: string): Step => {
      const of = { key, ...limit }
      return {
        ...{ why, prefix: place, statement: this.#store.taking(of, nowMs) },
        endsAtMs: () => this.#store.endsAtMs(of),
      }
    }
    const address = budget('address', this.#hidden('address', remoteAddress), codes.perAddress)
    return [
      budget('number', this.#hidden('number', canonicalForm(e164)), codes.perNumber),
      ...(isLoopback(remoteAddress) ? [] : [address]),
      ...breakers.flatMap((breaker) => this.#breakerSteps(breaker, nowMs)),
      budget('prefix', `prefix:${prefix}`, codes.perPrefix, prefix),
      budget('country', `country:${country}`, codes.perCountry, country),
      budget('total', `total:${transport}`, codes[transport]),
    ]
  }

  #breakerSteps(breaker: Breaker, nowMs: number): Step[] {
    const endsAtMs = async () =>
      // A trial is over when it was not entered in time.
      Math.max(await this.#store.closedUntilMs(breaker), nowMs + this.#rule.graceMs)
    return this.#store
      .passing(breaker, nowMs)
      .map((statement) => ({ why: 'breaker', prefix: breaker.prefix, statement, endsAtMs }))
  }

  #hidden(kind: 'number' | 'address', value: string): string {
    const mac = createHmac('sha256', this.#options.secret).update(`${kind}:${value}`)
    return `${kind}:${mac.digest('base64url').slice(0, 22)}`
  }
}
