// What a page gives to a client after `signalcaptcha://`, and the client to the chat server: `scheme.sitekey.action.token`.

export type SolutionParts = {
  readonly scheme: string
  readonly siteKey: string
  readonly action: string
  /** It may have dots. */
  readonly token: string
}

export const SOLUTION_ACTIONS = ['registration', 'challenge'] as const
export type SolutionAction = (typeof SOLUTION_ACTIONS)[number]

/** Who made the token. Clients do not look at it. */
export const SCHEMES = {
  own: 'heliograph',
  hcaptcha: 'signal-hcaptcha',
  turnstile: 'turnstile',
} as const
export type Provider = keyof typeof SCHEMES

export const solutionText = ({ scheme, siteKey, action, token }: SolutionParts): string =>
  [scheme, siteKey, action, token].join('.')

export const solutionHref = (parts: SolutionParts): string => `signalcaptcha://${solutionText(parts)}`

/** Nothing for what has not four parts. */
export function readSolution(text: string): SolutionParts | undefined {
  const match = /^([^.]+)\.([^.]+)\.([^.]+)\.(.+)$/s.exec(text.trim())
  if (!match) return undefined
  const [, scheme, siteKey, action, token] = match as unknown as [string, string, string, string, string]
  return { scheme, siteKey, action, token }
}
