// The captchas of others, for who wants them: where they are, and what a page has to allow them.
import type { Provider } from './solution.ts'

export type ForeignProvider = Exclude<Provider, 'own'>
export type Foreign = {
  readonly provider: ForeignProvider
  readonly siteKey: string
  readonly scriptUrl: string
}

type About = {
  readonly className: string
  readonly script: string
  readonly verify: string
  /** docs.hcaptcha.com "Content-Security-Policy Settings"; developers.cloudflare.com/turnstile "Content Security Policy". */
  readonly sources: readonly string[]
}

export const FOREIGN: Readonly<Record<ForeignProvider, About>> = {
  hcaptcha: {
    className: 'h-captcha',
    script: 'https://js.hcaptcha.com/1/api.js',
    verify: 'https://api.hcaptcha.com/siteverify',
    sources: ['https://hcaptcha.com', 'https://*.hcaptcha.com'],
  },
  turnstile: {
    className: 'cf-turnstile',
    script: 'https://challenges.cloudflare.com/turnstile/v0/api.js',
    verify: 'https://challenges.cloudflare.com/turnstile/v0/siteverify',
    sources: ['https://challenges.cloudflare.com'],
  },
}

export const sourcesOf = ({ provider, scriptUrl }: Foreign): readonly string[] => [
  ...new Set([...FOREIGN[provider].sources, new URL(scriptUrl).origin]),
]
