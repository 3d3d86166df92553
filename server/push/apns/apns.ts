// Apple Push Notification service: wakes iPhones and iPads.
import type { Clock } from '../../kit/clock.ts'
import { NoAnswer } from '../../kit/outgoing.ts'
import type { Notice } from '../../kit/push-gateway.ts'
import { Http2Peer } from '../http2-peer.ts'
import { KeptToken } from '../kept-token.ts'
import type { AddressOf, Provider, Tried } from '../provider.ts'
import { type Notification, notificationOf } from './notification.ts'
import { type ApnsOutcome, isFarewell, outcomeOf } from './outcome.ts'
import type { ProviderKey } from './provider-key.ts'

/** By tokens that a key signs, or by TLS (PEM). */
export type ApnsIdentity =
  | { readonly providerKey: ProviderKey }
  | { readonly cert: string; readonly key: string }

export type ApnsOptions = {
  readonly identity: ApnsIdentity
  /** The app's bundle id. */
  readonly topic: string
  readonly url: string
  readonly clock: Clock
  /** Certificates (PEM) of the authorities that are believed; the host's unless told. */
  readonly ca?: string | undefined
}

/** Apple allows a new token every 20 minutes. */
const LEAST_TOKEN_AGE_MS = 20 * 60_000

export class Apns implements Provider<'apn'> {
  readonly service = 'apn'
  readonly #peer: Http2Peer
  readonly #token: KeptToken | undefined
  readonly #topic: string
  readonly #clock: Clock

  constructor({ identity, topic, url, clock, ca }: ApnsOptions) {
    const byKey = 'providerKey' in identity ? identity.providerKey : undefined
    const byTls = 'cert' in identity ? identity : {}
    this.#peer = new Http2Peer({ origin: url, clock, ca, endsAt: isFarewell, ...byTls })
    this.#token =
      byKey && new KeptToken({ make: () => byKey.token(clock), clock, leastAgeMs: LEAST_TOKEN_AGE_MS })
    this.#topic = topic
    this.#clock = clock
  }

  async push({ token }: AddressOf<'apn'>, notice: Notice): Promise<Tried> {
    const notification = notificationOf(notice, this.#clock.nowMs())
    try {
      const ours = await this.#token?.current()
      const outcome = await this.#send(token, notification, ours)
      if (outcome.kind !== 'unauthorised') return outcome
      const another = ours === undefined ? undefined : await this.#token?.instead(ours)
      const again = another === undefined ? outcome : await this.#send(token, notification, another)
      return again.kind === 'unauthorised' ? down('ExpiredProviderToken') : again
    } catch (error) {
      if (error instanceof NoAnswer) return down(error.code)
      throw error
    }
  }

  close(): Promise<void> {
    return this.#peer.close()
  }

  async #send(
    token: string,
    { headers, body }: Notification,
    ours: string | undefined,
  ): Promise<ApnsOutcome> {
    const answer = await this.#peer.ask({
      path: `/3/device/${encodeURIComponent(token)}`,
      headers: {
        ...(ours !== undefined && { authorization: `bearer ${ours}` }),
        'apns-topic': this.#topic,
        ...headers,
      },
      body,
    })
    return outcomeOf(answer)
  }
}

const down = (reason: string): Tried => ({ kind: 'later', afterMs: 0, broken: true, reason })
