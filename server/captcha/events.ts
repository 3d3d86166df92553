// What operators count of the captcha: one function an event, nothing about anybody in any of them.
import type { Counters } from '../kit/counters.ts'
import type { Kind } from './kinds.ts'

export type CaptchaEvents = ReturnType<typeof captchaEvents>

export const captchaEvents = (counters: Counters) => ({
  /** How many times the usual work it took is in the second counter. */
  asked(kind: Kind, factor: number): void {
    counters.add(`captcha.asked.${kind}`)
    if (factor > 1) counters.add('captcha.asked.harder')
  },
  answered(kind: Kind | 'none', right: boolean): void {
    counters.add(`captcha.${right ? 'right' : 'wrong'}.${kind}`)
  },
  /** A token was looked at. */
  verified(success: boolean): void {
    counters.add(success ? 'captcha.tokens.good' : 'captcha.tokens.refused')
  },
})
