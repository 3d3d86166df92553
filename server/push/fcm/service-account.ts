// A service account of Google Cloud: its key signs an assertion, for which Google gives a token (RFC 7523).
import { type CryptoKey, importPKCS8, SignJWT } from 'jose'
import { z } from 'zod'
import type { Clock } from '../../kit/clock.ts'
import { ask } from '../../kit/outgoing.ts'
import type { MadeToken } from '../kept-token.ts'
import { parsedJson } from '../parsed-json.ts'

const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging'
/** Google gives an hour at most. */
const ASSERTION_S = 3_600
const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TIMEOUT_MS = 4_000

/** The file that the Firebase console gives; what else is in it is not needed. */
const serviceAccount = z.object({
  type: z.literal('service_account'),
  project_id: z.string().min(1),
  private_key_id: z.string().min(1),
  private_key: z.string().min(1),
  client_email: z.string().min(1),
  token_uri: z.url({ protocol: /^https$/ }),
})
const given = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })
const refused = z.object({ error: z.string().regex(/^[a-z_]{1,40}$/) })

/** Google gave no token. `reason` is a word of Google's or ours, without anything secret. */
export class NoToken extends Error {
  override readonly name = 'NoToken'
  readonly reason: string

  constructor(reason: string) {
    super(reason)
    this.reason = reason
  }
}

export class ServiceAccount {
  readonly projectId: string
  readonly #account: z.output<typeof serviceAccount>
  readonly #key: CryptoKey

  private constructor(account: z.output<typeof serviceAccount>, key: CryptoKey) {
    this.projectId = account.project_id
    this.#account = account
    this.#key = key
  }

  /** Nothing if the text is no service account with a key that can sign. */
  static async read(text: string): Promise<ServiceAccount | undefined> {
    try {
      const account = serviceAccount.parse(JSON.parse(text))
      return new ServiceAccount(account, await importPKCS8(account.private_key, 'RS256'))
    } catch {
      return undefined
    }
  }

  /** Rejects with `NoAnswer` or `NoToken`. */
  async token(clock: Clock, ca: string | undefined): Promise<MadeToken> {
    const body = new URLSearchParams({ grant_type: GRANT_TYPE, assertion: await this.#assertion(clock) })
    const { status, body: text } = await ask({
      method: 'POST',
      url: this.#account.token_uri,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: body.toString(),
      timeoutMs: TIMEOUT_MS,
      ca,
    })
    const answer = parsedJson(text)
    const token = given.safeParse(answer)
    if (status === 200 && token.success)
      return { value: token.data.access_token, goodForMs: 1000 * token.data.expires_in }
    const error = refused.safeParse(answer)
    throw new NoToken(error.success ? error.data.error : `status ${status}`)
  }

  #assertion(clock: Clock): Promise<string> {
    const { client_email, private_key_id, token_uri } = this.#account
    const nowS = Math.floor(clock.nowMs() / 1000)
    return new SignJWT({ scope: SCOPE })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: private_key_id })
      .setIssuer(client_email)
      .setAudience(token_uri)
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + ASSERTION_S)
      .sign(this.#key)
  }
}
