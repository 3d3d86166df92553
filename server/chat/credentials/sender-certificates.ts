// Sender certificates: by them the recipient of a sealed message, and nobody else, knows who wrote it.

import { PublicKey, SenderCertificate } from '@signalapp/libsignal-client'
import type { DeviceId } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Secrets } from '../../kit/secrets.ts'
import { type Account, numbered } from '../accounts/account.ts'

export type SenderCertificatesOptions = {
  readonly secrets: Pick<Secrets, 'serverCertificate' | 'senderCertificateKey'>
  readonly clock: Clock
  readonly lifetimeDays: number
}

export class SenderCertificates {
  readonly #options: SenderCertificatesOptions

  constructor(options: SenderCertificatesOptions) {
    this.#options = options
  }

  /** Refuses (400) to include a number that is not there. Its signer's certificate is embedded: clients know the number of Signal's own only. */
  issue(account: Account, deviceId: DeviceId, includeE164: boolean): Uint8Array {
    const { secrets, clock, lifetimeDays } = this.#options
    const certificate = SenderCertificate.new(
      account.aci,
      includeE164 ? numbered(account).e164 : null,
      deviceId,
      PublicKey.deserialize(new Uint8Array(account.aciIdentityKey)),
      clock.nowMs() + lifetimeDays * DAY_MS,
      secrets.serverCertificate,
      secrets.senderCertificateKey,
    )
    return certificate.serialize()
  }
}
