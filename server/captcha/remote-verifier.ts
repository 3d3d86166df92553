// Judges solutions by asking who made them: hCaptcha, Turnstile, or the process that has our own captcha. They are asked alike.
import { z } from 'zod'
import { ask } from '../kit/outgoing.ts'
import { type Solved, tokenOf, type Verdict, type Verifier } from './own-verifier.ts'
import { type Provider, SCHEMES } from './solution.ts'

export type RemoteVerifierOptions = {
  readonly provider: Provider
  readonly url: string
  readonly siteKey: string
  readonly secret: string
  /** Certificates (PEM) of the authorities that are believed; the host's unless told. */
  readonly ca?: string | undefined
}

const TIMEOUT_MS = 10_000
/** It is the token that is wrong, not the question or the answerer. */
const TOKEN_ERRORS = new Set([
  'invalid-input-response',
  'missing-input-response',
  'timeout-or-duplicate',
  'expired-input-response',
  'already-seen-response',
  'invalid-or-already-seen-response',
])

const answer = z.object({
  success: z.boolean(),
  action: z.string().optional(),
  'error-codes': z.array(z.string()).optional(),
})

export class RemoteVerifier implements Verifier {
  readonly #options: RemoteVerifierOptions

  constructor(options: RemoteVerifierOptions) {
    this.#options = options
  }

  /** The address of who solved it is not told. Rejects where the answer is about anything but the token. */
  async verify(solved: Solved): Promise<Verdict> {
    const { provider, siteKey } = this.#options
    const found = tokenOf(solved, SCHEMES[provider], siteKey)
    if (!found) return 'malformed'
    const { success, action, 'error-codes': errors = [] } = await this.#ask(found.token)
    if (success) return isFor(provider, action, solved.action) ? 'solved' : 'wrong'
    if (errors.every((code) => TOKEN_ERRORS.has(code))) return 'wrong'
    throw new Error('the captcha’s verifier does not take our question')
  }

  async #ask(token: string): Promise<z.output<typeof answer>> {
    const { url, secret, siteKey, ca } = this.#options
    const { status, body } = await ask({
      ...{ method: 'POST', url, timeoutMs: TIMEOUT_MS, ca },
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ secret, response: token, sitekey: siteKey }).toString(),
    })
    const read = answer.safeParse(jsonOf(body))
    if (!read.success || status >= 500) throw new Error('the captcha’s verifier gives no answer')
    return read.data
  }
}

/** hCaptcha knows no actions: there it is what the page wrote, and the token counts once. */
const isFor = (provider: Provider, action: string | undefined, wanted: string) =>
  provider === 'hcaptcha' || action === wanted

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
