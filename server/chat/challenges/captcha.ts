import type { Aci } from '../../../wire/types.ts'

/** What a person solved, what for, and who says so. */
export type Solution = {
  readonly captcha: string
  readonly remoteAddress: string
  readonly userAgent: string | undefined
} & (
  | { readonly action: 'challenge'; readonly aci: Aci }
  /** Of a session that proves a number: nobody is known yet. */
  | { readonly action: 'registration' }
)

export interface CaptchaVerifier {
  /**
   * `malformed`: no solution of any captcha, or of one for another action. Rejects if it can't be told now. A solution
   * must count once only.
   */
  verify(solution: Solution): Promise<'solved' | 'wrong' | 'malformed'>
}
