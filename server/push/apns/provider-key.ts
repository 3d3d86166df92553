// A key of Apple's developer portal: it signs tokens that say whose pushes they are (developer.apple.com: "Establishing a
// token-based connection to APNs").
import { type CryptoKey, importPKCS8, SignJWT } from 'jose'
import type { Clock } from '../../kit/clock.ts'
import type { MadeToken } from '../kept-token.ts'

/** Apple takes a token for an hour. */
const GOOD_FOR_MS = 3_600_000

export class ProviderKey {
  readonly #key: CryptoKey
  readonly #keyId: string
  readonly #teamId: string

  private constructor(key: CryptoKey, keyId: string, teamId: string) {
    this.#key = key
    this.#keyId = keyId
    this.#teamId = teamId
  }

  /** Nothing if the text is no key (.p8) that can sign. */
  static async read(text: string, keyId: string, teamId: string): Promise<ProviderKey | undefined> {
    const key = await importPKCS8(text, 'ES256').catch(() => undefined)
    return key && new ProviderKey(key, keyId, teamId)
  }

  async token(clock: Clock): Promise<MadeToken> {
    const value = await new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: this.#keyId })
      .setIssuer(this.#teamId)
      .setIssuedAt(Math.floor(clock.nowMs() / 1000))
      .sign(this.#key)
    return { value, goodForMs: GOOD_FOR_MS }
  }
}
