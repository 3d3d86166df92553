// The question of other people's servers, in the words of reCAPTCHA, hCaptcha and Turnstile.
import type { Limits } from '../kit/limits.ts'
import type { Challenges } from './challenges.ts'
import type { Sites } from './sites.ts'

export type Question = {
  readonly secret: string | undefined
  readonly response: string | undefined
  readonly sitekey: string | undefined
  readonly remoteAddress: string
}

export type Answer = {
  readonly success: boolean
  readonly challenge_ts?: string
  readonly hostname?: string
  readonly action?: string
  readonly 'error-codes'?: string[]
}

export class SiteVerify {
  readonly #sites: Sites
  readonly #challenges: Challenges
  readonly #limits: Limits

  constructor(sites: Sites, challenges: Challenges, limits: Limits) {
    this.#sites = sites
    this.#challenges = challenges
    this.#limits = limits
  }

  /** A token is looked at once. Who guesses secrets is refused (429) after some. */
  async answer({ secret, response, sitekey, remoteAddress }: Question): Promise<Answer> {
    const site = secret ? this.#sites.bySecret(secret) : undefined
    if (!site) {
      await this.#limits.take('captchaSecret', remoteAddress)
      return failure(secret ? 'invalid-input-secret' : 'missing-input-secret')
    }
    if (!response) return failure('missing-input-response')
    if (sitekey && sitekey !== site.key) return failure('sitekey-secret-mismatch')
    const looked = await this.#challenges.redeem(site.key, response)
    if (looked.kind !== 'good')
      return failure(looked.kind === 'none' ? 'invalid-input-response' : 'timeout-or-duplicate')
    const { solvedAtMs, action, origin } = looked.token
    return {
      success: true,
      challenge_ts: new Date(solvedAtMs).toISOString(),
      ...(origin !== undefined && { hostname: new URL(origin).hostname }),
      action,
      'error-codes': [],
    }
  }
}

const failure = (code: string): Answer => ({ success: false, 'error-codes': [code] })
