// Sender certificates as a client has them: asked of its server, and kept for a while.
import * as LS from '@signalapp/libsignal-client'
import type { SignalServer } from '../constellation.ts'
import type { AuthChat } from './net.ts'
import { expectStatus, fetchJson } from './rest.ts'

const ASK_AGAIN_BEFORE_MS = 86_400_000

/** By which key a client knows the certificates of its server. */
export const trustRootOf = ({ ready }: SignalServer): LS.PublicKey => {
  const [root] = ready.keys.unidentifiedSenderTrustRoots
  return LS.PublicKey.deserialize(new Uint8Array(Buffer.from(root!, 'base64')))
}

export async function fetchSenderCertificate(
  auth: AuthChat,
  includeE164 = true,
): Promise<LS.SenderCertificate> {
  const reply = await fetchJson(auth, 'GET', `/v1/certificate/delivery?includeE164=${includeE164}`)
  expectStatus(200, reply)
  const { certificate } = reply.json as { certificate: string }
  return LS.SenderCertificate.deserialize(new Uint8Array(Buffer.from(certificate, 'base64')))
}

export class OwnCertificate {
  readonly #includeE164: boolean
  #certificate: LS.SenderCertificate | undefined

  constructor(includeE164: boolean) {
    this.#includeE164 = includeE164
  }

  async get(auth: AuthChat): Promise<LS.SenderCertificate> {
    const expiresAtMs = this.#certificate?.expiration() ?? 0
    if (!this.#certificate || expiresAtMs - Date.now() < ASK_AGAIN_BEFORE_MS)
      this.#certificate = await fetchSenderCertificate(auth, this.#includeE164)
    return this.#certificate
  }
}
