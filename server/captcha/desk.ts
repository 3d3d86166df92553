// Who comes gets the page that they need: work, a riddle, the way back, or why not.
import type { Limits } from '../kit/limits.ts'
import { Refusal } from '../kit/refusal.ts'
import type { Assets } from './assets.ts'
import type { Challenges, Purpose } from './challenges.ts'
import type { Foreign } from './foreign.ts'
import { pageHeaders } from './page-policy.ts'
import {
  donePage,
  type Frame,
  foreignPage,
  type Riddle,
  refusalPage,
  riddlePage,
  startPage,
} from './pages.ts'
import type { Puzzle } from './proof-of-work.ts'
import { allowedOrigin, type Sites } from './sites.ts'
import { SCHEMES, type SolutionAction, solutionHref } from './solution.ts'

export type Page = {
  readonly status: 200 | 403 | 429
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

export type DeskOptions = {
  readonly sites: Sites
  readonly challenges: Challenges
  readonly limits: Limits
  readonly assets: Assets
  readonly riddles: readonly Riddle[]
  /** Whose captcha the pages for Signal clients show, if not ours. */
  readonly foreign: Foreign | undefined
}

export type WidgetWish = {
  readonly sitekey: string
  readonly origin: string
  readonly action?: string | undefined
  readonly theme?: 'light' | 'dark' | undefined
  readonly with?: Riddle | undefined
}

export type PuzzleWish = {
  readonly siteKey: string
  readonly action: string
  readonly origin?: string | undefined
}
export type Solved = {
  readonly token: string
  readonly expiresInSeconds: number
  /** Back to the app. */
  readonly href?: string
}

const DEFAULT_ACTION = 'submit'
const ACTIONS: readonly string[] = ['registration', 'challenge'] satisfies SolutionAction[]

export class Desk {
  readonly #options: DeskOptions

  constructor(options: DeskOptions) {
    this.#options = options
  }

  /** For a Signal client. */
  async page(action: SolutionAction, riddle: Riddle | undefined, address: string): Promise<Page> {
    const { sites, foreign } = this.#options
    const purpose = { site: sites.own.key, action }
    const frame = this.#frame(purpose)
    if (!foreign) return this.#asking(frame, riddle, address)
    return { status: 200, headers: pageHeaders(undefined, foreign), text: foreignPage(frame, foreign) }
  }

  /** For the page of another site. */
  async widget(wish: WidgetWish, address: string): Promise<Page> {
    const { sites, assets } = this.#options
    const action = wish.action ?? DEFAULT_ACTION
    const site = sites.named(wish.sitekey)
    const origin = site && allowedOrigin(site, wish.origin)?.origin
    if (origin) return this.#asking(this.#frame({ site: site.key, action, origin }, wish), wish.with, address)
    const sentence = site
      ? 'This captcha may not stand on this page: its host name is not among those of the site.'
      : 'There is no site of this key.'
    const frame = { purpose: { site: '', action, origin: '' }, assets: assets.base, again: '' }
    // Whoever frames it may read why.
    const headers = {
      ...pageHeaders(undefined),
      'Content-Security-Policy': "default-src 'none'; style-src 'self'",
    }
    return { status: 403, headers, text: refusalPage(frame, 'Not here', sentence) }
  }

  /** What was typed into a form. */
  async answer(challenge: string, typed: string, address: string): Promise<Page> {
    const { limits, challenges, sites } = this.#options
    const nowhere = this.#frame({ site: sites.own.key, action: 'registration' })
    return this.#unlessTooOften(nowhere, async () => {
      await limits.take('captchaAnswer', address)
      const answered = await challenges.answer(challenge, typed, address)
      if (answered.kind === 'none')
        return shown(
          nowhere,
          refusalPage(nowhere, 'Not right', 'That was no answer to anything we asked.'),
          403,
        )
      if (answered.kind === 'right') {
        const { token, purpose, lifetimeMs } = answered
        return shown(
          this.#frame(purpose),
          donePage(this.#frame(purpose), token, lifetimeMs / 1000, this.#href(token, purpose)),
        )
      }
      const { kind } = answered.challenge
      return this.#asking(this.#frame(answered.challenge), kind === 'work' ? undefined : kind, address, true)
    })
  }

  /** Work for a device; nothing where the site may not ask for it. */
  async puzzle(
    wish: PuzzleWish,
    address: string,
  ): Promise<{ challenge: string; puzzle: Puzzle } | undefined> {
    const { limits, challenges } = this.#options
    await limits.take('captchaPuzzle', address)
    const purpose = this.#allowed(wish)
    return purpose && challenges.puzzle(purpose, address)
  }

  /** Nothing if the work was not done, or counted before. */
  async solve(challenge: string, key: string, address: string): Promise<Solved | undefined> {
    const { limits, challenges, sites } = this.#options
    await limits.take('captchaAnswer', address)
    const answered = await challenges.answer(challenge, key, address)
    if (answered.kind !== 'right') return undefined
    const { token, purpose, lifetimeMs } = answered
    const back = purpose.site === sites.own.key ? { href: this.#href(token, purpose) } : {}
    return { token, expiresInSeconds: lifetimeMs / 1000, ...back }
  }

  #allowed({ siteKey, action, origin }: PuzzleWish): Purpose | undefined {
    const { sites, foreign } = this.#options
    if (siteKey === sites.own.key)
      return !foreign && origin === undefined && ACTIONS.includes(action)
        ? { site: siteKey, action }
        : undefined
    const site = sites.named(siteKey)
    const allowed = site && allowedOrigin(site, origin ?? '')
    return allowed && { site: siteKey, action, origin: allowed.origin }
  }

  /** Riddles are rationed: a machine reads them as well as people do. */
  #asking(frame: Frame, riddle: Riddle | undefined, address: string, wasWrong = false): Promise<Page> {
    const { limits, challenges, riddles } = this.#options
    if (!riddle || !riddles.includes(riddle)) return Promise.resolve(shown(frame, startPage(frame)))
    return this.#unlessTooOften(frame, async () => {
      await limits.take('captchaRiddle', address)
      return shown(
        frame,
        riddlePage(frame, riddle, challenges.riddle(riddle, frame.purpose, address), wasWrong),
      )
    })
  }

  async #unlessTooOften(frame: Frame, make: () => Promise<Page>): Promise<Page> {
    try {
      return await make()
    } catch (error) {
      if (!(error instanceof Refusal) || error.kind !== 'rate-limited') throw error
      const seconds = error.detail.retryAfterSeconds ?? 60
      const sentence = `Your network asked for many of these. The next one comes in ${seconds} seconds.`
      const page = shown(frame, refusalPage(frame, 'Please wait', sentence), 429)
      return { ...page, headers: { ...page.headers, 'Retry-After': String(seconds) } }
    }
  }

  #frame(purpose: Purpose, { theme }: Pick<WidgetWish, 'theme'> = {}): Frame {
    const { assets, riddles } = this.#options
    const { site, action, origin } = purpose
    const fields = { sitekey: site, action, origin: origin ?? '', ...(theme && { theme }) }
    const again = origin ? `/captcha/widget?${new URLSearchParams(fields)}` : `/captcha/${action}`
    return { purpose: { site, action, origin }, theme, assets: assets.base, again, riddles }
  }

  #href(token: string, { site, action }: Purpose): string {
    return solutionHref({ scheme: SCHEMES.own, siteKey: site, action, token })
  }
}

const shown = ({ purpose }: Frame, text: string, status: Page['status'] = 200): Page => ({
  status,
  headers: pageHeaders(purpose.origin),
  text,
})
