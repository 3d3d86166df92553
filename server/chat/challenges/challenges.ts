// A sender who looks like a machine has to show that a person is there (signal-api §2.12).
import { createHash } from 'node:crypto'
import type { Aci, DeviceAddress } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Housekeeping } from '../../kit/housekeeping.ts'
import type { LimiterName } from '../../kit/limiters.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import { type Account, addressOf, type Device } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { ChatEvents } from '../events.ts'
import type { CaptchaVerifier, Solution } from './captcha.ts'
import type { ChallengePush } from './push.ts'
import { PushChallengeStore } from './store.ts'
import { Strangers } from './strangers.ts'

export type ChallengeOption = 'captcha' | 'pushChallenge'
/** What a sender has to solve before it may go on. */
export type Challenge = { readonly token: string; readonly options: readonly ChallengeOption[] }

export type ChallengesOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly limits: Limits
  readonly clock: Clock
  readonly housekeeping: Housekeeping
  readonly random: Random
  readonly events: ChatEvents
  /** Without one no captcha is offered or accepted. */
  readonly captcha: CaptchaVerifier | undefined
  /** Without one no push challenge is offered or sent. */
  readonly push: ChallengePush | undefined
  /** Strangers that an account may write to in a day; 0 is no limit. */
  readonly strangersPerDay: number
}

/** What came with a captcha's solution. */
export type Answered = Pick<Solution, 'captcha' | 'remoteAddress' | 'userAgent'>

const CHALLENGE_BYTES = 16
const LIFETIME_MS = 300_000
const EXPIRE_EVERY_MS = 3_600_000

export class Challenges {
  readonly #options: ChallengesOptions
  readonly #store: PushChallengeStore
  readonly #strangers: Strangers | undefined

  constructor(options: ChallengesOptions) {
    const { clock, random, strangersPerDay: perDay, housekeeping } = options
    this.#options = options
    this.#store = new PushChallengeStore(options.sql)
    this.#strangers = perDay > 0 ? new Strangers({ clock, random, perDay }) : undefined
    housekeeping.every(EXPIRE_EVERY_MS, 'challenges.expire', () => this.#store.expire(clock.nowMs()))
  }

  /**
   * What the sender of an identified message has to solve first; nothing if it may go on. Refuses (429) who has to
   * and cannot, until tomorrow.
   */
  demand(sender: Account, recipient: Account): Promise<Challenge> | undefined {
    if (!this.#strangers || this.#strangers.admit(sender.aci, recipient.aci)) return undefined
    return this.#challenge(sender, this.#strangers)
  }

  /** Refuses (400) what is no solution of a captcha; false if it is a wrong one. */
  async answerCaptcha(caller: DeviceAddress, solution: Answered): Promise<boolean> {
    const { accounts, limits, captcha, events } = this.#options
    const { account } = await accounts.of(caller)
    await limits.take('captchaChallengeAttempt', account.aci)
    const verdict = captcha
      ? await this.#verified(captcha, { ...solution, action: 'challenge', aci: account.aci })
      : 'wrong'
    events.challengeAnswered('captcha', verdict === 'solved')
    if (verdict === 'malformed') throw new Refusal('bad-request')
    if (verdict === 'wrong') return false
    await this.#succeed(account.aci, 'captchaChallengeSuccess')
    return true
  }

  async answerPush(caller: DeviceAddress, challenge: string): Promise<boolean> {
    const { accounts, limits, clock, events } = this.#options
    const { account } = await accounts.of(caller)
    await limits.take('pushChallengeAttempt', account.aci)
    const right = await this.#store.take(account.aci, digestOf(challenge), clock.nowMs())
    events.challengeAnswered('push', right)
    if (right) await this.#succeed(account.aci, 'pushChallengeSuccess')
    return right
  }

  /** Sends one to the primary device; one that was sent less than five minutes ago is not sent again. False if it has no push. */
  async requestPush(caller: DeviceAddress): Promise<boolean> {
    const { accounts, push, random, clock } = this.#options
    const { account } = await accounts.of(caller)
    if (!push || !hasPush(account.devices[0])) return false
    const challenge = random.bytes(CHALLENGE_BYTES).toString('hex')
    const nowMs = clock.nowMs()
    if (await this.#store.add(account.aci, digestOf(challenge), nowMs + LIFETIME_MS, nowMs))
      await this.#send(push, account, challenge)
    return true
  }

  deleted({ aci }: Account): Statement[] {
    return [this.#store.clear(aci)]
  }

  replaced({ aci }: Account): Statement[] {
    return [this.#store.clear(aci)]
  }

  async #send(push: ChallengePush, account: Account, challenge: string): Promise<void> {
    try {
      await push.send(account, challenge)
    } catch {
      this.#options.events.challengeFailed('push')
      await this.#store.clearNow(account.aci)
      throw new Refusal('unavailable')
    }
  }

  async #verified(captcha: CaptchaVerifier, solution: Solution): Promise<'solved' | 'wrong' | 'malformed'> {
    try {
      return await captcha.verify(solution)
    } catch {
      this.#options.events.challengeFailed('captcha')
      throw new Refusal('unavailable')
    }
  }

  async #challenge(sender: Account, strangers: Strangers): Promise<Challenge> {
    const { events, random } = this.#options
    const options = await this.#optionsOf(sender)
    events.challenged()
    if (options.length === 0)
      throw new Refusal('rate-limited', { retryAfterSeconds: Math.ceil(strangers.untilTomorrowMs / 1000) })
    return { token: random.uuid(), options }
  }

  /** What the account could solve now. */
  async #optionsOf({ aci, devices }: Account): Promise<ChallengeOption[]> {
    const { captcha, push } = this.#options
    const options: ChallengeOption[] = []
    if (
      captcha &&
      (await this.#isLeft(aci, ['captchaChallengeAttempt', 'captchaChallengeSuccess', 'rateLimitReset']))
    )
      options.push('captcha')
    const reachable = push && hasPush(devices[0])
    if (
      reachable &&
      (await this.#isLeft(aci, ['pushChallengeAttempt', 'pushChallengeSuccess', 'rateLimitReset']))
    )
      options.push('pushChallenge')
    return options
  }

  async #isLeft(aci: Aci, names: readonly LimiterName[]): Promise<boolean> {
    try {
      for (const name of names) await this.#options.limits.check(name, aci)
      return true
    } catch (error) {
      if (error instanceof Refusal) return false
      throw error
    }
  }

  async #succeed(aci: Aci, limiter: 'captchaChallengeSuccess' | 'pushChallengeSuccess'): Promise<void> {
    await this.#options.limits.take(limiter, aci)
    await this.#options.limits.take('rateLimitReset', aci)
    this.#strangers?.forgive(aci)
  }
}

/** The table has digests: comparing them tells nobody how much of a guess was right. */
const digestOf = (challenge: string) => createHash('sha256').update(challenge.toLowerCase()).digest()

const hasPush = (device: Device | undefined): boolean =>
  device !== undefined && addressOf(device) !== undefined
