// Firebase Cloud Messaging, HTTP v1: wakes Android phones.
import type { Clock } from '../../kit/clock.ts'
import { DAY_SECONDS } from '../../kit/days.ts'
import { NoAnswer } from '../../kit/outgoing.ts'
import type { Notice } from '../../kit/push-gateway.ts'
import { Http2Peer } from '../http2-peer.ts'
import { KeptToken } from '../kept-token.ts'
import { dataOf } from '../notice-data.ts'
import type { AddressOf, Provider, Tried } from '../provider.ts'
import { type FcmOutcome, outcomeOf } from './outcome.ts'
import { NoToken, type ServiceAccount } from './service-account.ts'

export type FcmOptions = {
  readonly account: ServiceAccount
  readonly projectId: string
  /** Without a path. */
  readonly url: string
  readonly clock: Clock
  /** Certificates (PEM) of the authorities that are believed; the host's unless told. */
  readonly ca?: string | undefined
}

/** The longest that FCM keeps one. */
const TTL_S = 28 * DAY_SECONDS
const CODE_TTL_S = 600
const LEAST_TOKEN_AGE_MS = 10_000

export class Fcm implements Provider<'fcm'> {
  readonly service = 'fcm'
  readonly #peer: Http2Peer
  readonly #token: KeptToken
  readonly #path: string

  constructor({ account, projectId, url, clock, ca }: FcmOptions) {
    this.#peer = new Http2Peer({ origin: url, clock, ca })
    this.#token = new KeptToken({
      make: () => account.token(clock, ca),
      clock,
      leastAgeMs: LEAST_TOKEN_AGE_MS,
    })
    this.#path = `/v1/projects/${encodeURIComponent(projectId)}/messages:send`
  }

  async push({ token }: AddressOf<'fcm'>, notice: Notice): Promise<Tried> {
    const body = messageTo(token, notice)
    try {
      const access = await this.#token.current()
      const outcome = await this.#send(access, body)
      if (outcome.kind !== 'unauthorised') return outcome
      const another = await this.#token.instead(access)
      const again = another === undefined ? outcome : await this.#send(another, body)
      return again.kind === 'unauthorised' ? down('UNAUTHENTICATED') : again
    } catch (error) {
      if (error instanceof NoAnswer) return down(error.code)
      if (error instanceof NoToken) return down(error.reason)
      throw error
    }
  }

  close(): Promise<void> {
    return this.#peer.close()
  }

  async #send(access: string, body: string): Promise<FcmOutcome> {
    const headers = { authorization: `Bearer ${access}`, 'content-type': 'application/json' }
    return outcomeOf(await this.#peer.ask({ path: this.#path, headers, body }))
  }
}

const down = (reason: string): Tried => ({ kind: 'later', afterMs: 0, broken: true, reason })

/** Data only: a notification would be shown by the system, before the app has looked. */
function messageTo(token: string, notice: Notice): string {
  const priority = notice.kind === 'message' && !notice.urgent ? 'NORMAL' : 'HIGH'
  const ttl = `${notice.kind === 'verificationCode' ? CODE_TTL_S : TTL_S}s`
  return JSON.stringify({ message: { token, data: dataOf(notice), android: { priority, ttl } } })
}
