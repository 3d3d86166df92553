// Judges solutions of our own captcha, for a chat server in the same process.
import type { Challenges } from './challenges.ts'
import { readSolution, SCHEMES, type SolutionAction } from './solution.ts'

/** What the chat server asks with. */
export type Solved = { readonly captcha: string; readonly action: SolutionAction }
export type Verdict = 'solved' | 'wrong' | 'malformed'
export interface Verifier {
  /** Rejects if it can't be told now. */
  verify(solved: Solved): Promise<Verdict>
}

/** Whether it is of the scheme and the site, and says that it is for the action; nothing is verified yet. */
export function tokenOf(
  { captcha, action }: Solved,
  scheme: string,
  siteKey: string,
): { token: string } | undefined {
  const parts = readSolution(captcha)
  const fits =
    parts?.scheme === scheme &&
    parts.siteKey.toLowerCase() === siteKey.toLowerCase() &&
    parts.action === action
  return fits ? { token: parts.token } : undefined
}

export class OwnVerifier implements Verifier {
  readonly #challenges: Challenges
  readonly #siteKey: string

  constructor(challenges: Challenges, siteKey: string) {
    this.#challenges = challenges
    this.#siteKey = siteKey
  }

  /** A solution counts once, for the action that it was made for: what the text says of it is not believed. */
  async verify(solved: Solved): Promise<Verdict> {
    const found = tokenOf(solved, SCHEMES.own, this.#siteKey)
    if (!found) return 'malformed'
    const looked = await this.#challenges.redeem(this.#siteKey, found.token)
    return looked.kind === 'good' && looked.token.action === solved.action ? 'solved' : 'wrong'
  }
}
