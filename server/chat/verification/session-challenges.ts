// Who wants a code shows first that no machine asks: by a captcha, or by a push that reaches a phone (signal-api §2.1).
import { createHmac } from 'node:crypto'
import { sameSecret } from '../../kit/constant-time.ts'
import type { Limits } from '../../kit/limits.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { CaptchaVerifier, Solution } from '../challenges/captcha.ts'
import type { ChallengePush, PushToken } from '../challenges/push.ts'
import type { ChatEvents } from '../events.ts'
import type { Session, VerificationStore } from './store.ts'

const CHALLENGE_BYTES = 16
/** A push may get lost; whoever asks for more has the captcha. */
const MAX_PUSHES = 3

/** What a client sends of what a session asks for. */
export type Answers = {
  readonly pushToken?: PushToken | undefined
  readonly pushChallenge?: string | undefined
  readonly captcha?: string | undefined
  readonly remoteAddress: string
  readonly userAgent: string | undefined
}

export type SessionChallengesOptions = {
  readonly store: VerificationStore
  readonly limits: Limits
  readonly events: ChatEvents
  /** Whether a session has to show anything. */
  readonly demanded: boolean
  /** Without one no captcha is right. */
  readonly captcha: CaptchaVerifier | undefined
  /** Without one no push challenge is sent. */
  readonly push: ChallengePush | undefined
  /** Makes the challenges; must stay secret. */
  readonly secret: Uint8Array
}

export class SessionChallenges {
  readonly #options: SessionChallengesOptions

  constructor(options: SessionChallengesOptions) {
    this.#options = options
  }

  /** Whether a new session has to show anything. */
  get demanded(): boolean {
    return this.#options.demanded
  }

  /**
   * Takes what came, in Signal's order. False if an answer was wrong; throws `Refusal`: `rate-limited`, `bad-request` for what
   * is no captcha, `unavailable` if nobody can judge it now.
   */
  async answer(session: Session, answers: Answers): Promise<boolean> {
    if (isDone(session)) return true
    if (answers.pushToken) await this.sendPush(session.id, answers.pushToken)
    if (answers.pushChallenge !== undefined) return this.#answerPush(session.id, answers.pushChallenge)
    return answers.captcha === undefined || this.#answerCaptcha(session, answers.captcha, answers)
  }

  /** Sends the session's challenge, the same one each time. That it does not arrive is no failure: there is the captcha. */
  async sendPush(id: string, token: PushToken): Promise<void> {
    const { push, store, events } = this.#options
    if (!push || !(await store.notePush(id, MAX_PUSHES))) return
    await push.sendTo(token, this.#challengeOf(id)).catch(() => events.challengeFailed('push'))
  }

  async #answerPush(id: string, challenge: string): Promise<boolean> {
    const { limits, store, events } = this.#options
    await limits.take('verificationPushChallenge', id)
    const right = sameSecret(challenge.toLowerCase(), this.#challengeOf(id))
    events.challengeAnswered('push', right)
    if (right) await store.admit(id)
    return right
  }

  async #answerCaptcha(
    { id }: Session,
    captcha: string,
    { remoteAddress, userAgent }: Answers,
  ): Promise<boolean> {
    const { limits, store, events } = this.#options
    await limits.take('verificationCaptcha', id)
    const verdict = await this.#judge({ captcha, remoteAddress, userAgent, action: 'registration' })
    events.challengeAnswered('captcha', verdict === 'solved')
    if (verdict === 'malformed') throw new Refusal('bad-request')
    if (verdict === 'solved') await store.admit(id)
    return verdict === 'solved'
  }

  async #judge(solution: Solution): Promise<'solved' | 'wrong' | 'malformed'> {
    const { captcha, events } = this.#options
    if (!captcha) return 'wrong'
    try {
      return await captcha.verify(solution)
    } catch {
      events.challengeFailed('captcha')
      throw new Refusal('unavailable')
    }
  }

  /** Nothing of it is stored: the session's id is known to its client alone. */
  #challengeOf(id: string): string {
    const mac = createHmac('sha256', this.#options.secret).update(`push:${id}`)
    return mac.digest().subarray(0, CHALLENGE_BYTES).toString('hex')
  }
}

const isDone = ({ verified, wantsCaptcha, wantsPush }: Session): boolean =>
  verified || !(wantsCaptcha || wantsPush)
