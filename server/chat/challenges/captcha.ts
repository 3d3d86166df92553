import type { Aci } from '../../../wire/types.ts'

/** What a person solved, and who says so. */
export type Solution = {
  readonly captcha: string
  readonly action: 'challenge'
  readonly aci: Aci
  readonly remoteAddress: string
  readonly userAgent: string | undefined
}

export interface CaptchaVerifier {
  /** `malformed`: no solution of any captcha. Rejects if it can't be told now. A solution must count once only. */
  verify(solution: Solution): Promise<'solved' | 'wrong' | 'malformed'>
}
