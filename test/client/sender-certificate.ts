// Sender certificates by a trust root of the tests' own: the server takes what is sealed as it is.
import * as LS from '@signalapp/libsignal-client'

const trustRoot = LS.PrivateKey.generate()
const serverKey = LS.PrivateKey.generate()
const serverCertificate = LS.ServerCertificate.new(1, serverKey.getPublicKey(), trustRoot)
const LIFETIME_MS = 7 * 86_400_000

export const TEST_TRUST_ROOT: LS.PublicKey = trustRoot.getPublicKey()

export function senderCertificateFor(
  aci: LS.Aci,
  number: string,
  deviceId: number,
  identityKey: LS.PublicKey,
): LS.SenderCertificate {
  const expiresAtMs = Date.now() + LIFETIME_MS
  return LS.SenderCertificate.new(
    aci,
    number,
    deviceId,
    identityKey,
    expiresAtMs,
    serverCertificate,
    serverKey,
  )
}
