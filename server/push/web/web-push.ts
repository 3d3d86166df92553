// Web Push (RFC 8030, RFC 8291, RFC 8292) and UnifiedPush, which is the same: a push service of the user's choice.
import { createRequire } from 'node:module'
import type { RequestOptions } from 'web-push'
import type { Clock } from '../../kit/clock.ts'
import { DAY_SECONDS } from '../../kit/days.ts'
import { ask, NoAnswer, type OutgoingAnswer, retryAfterSeconds } from '../../kit/outgoing.ts'
import type { Notice, WebSubscription } from '../../kit/push-gateway.ts'
import { OUT_OF_REACH, type Reach } from '../../kit/reach.ts'
import type { VapidKeys } from '../../kit/vapid-keys.ts'
import { dataOf } from '../notice-data.ts'
import type { AddressOf, Provider, Tried } from '../provider.ts'
import { Origins } from './origins.ts'

export type WebPushOptions = {
  readonly keys: VapidKeys
  /** `mailto:` or `https:`. */
  readonly contact: string
  readonly reach: Reach
  readonly clock: Clock
  /** Certificates (PEM) of the authorities that are believed; the host's unless told. */
  readonly ca?: string | undefined
}

const TIMEOUT_MS = 10_000
const UNREACHABLE = { kind: 'refused', reason: 'out of reach' } as const
const MESSAGE_TTL_S = 28 * DAY_SECONDS
const CHALLENGE_TTL_S = 300
/** signal-api §2.9. */
const CODE_REQUESTED_TTL_S = 600
/** RFC 8030 §5.4: a later push of a topic takes the place of one that still waits. */
const MESSAGE_TOPIC = 'message'
/** RFC 8292 §2: a token is good for a day at most. */
const TOKEN_KEPT_MS = 3_600_000
const MAX_TOKENS = 1_000
/** RFC 8030 §7.3, and what push services say of subscriptions that were given up. */
const GONE = [404, 410]

type Authorization = { readonly header: string; readonly untilMs: number }

type Library = typeof import('web-push')

export class WebPush implements Provider<'web'> {
  readonly service = 'web'
  readonly #options: WebPushOptions
  readonly #origins: Origins
  readonly #authorizations = new Map<string, Authorization>()

  constructor(options: WebPushOptions) {
    this.#options = options
    this.#origins = new Origins(options.clock)
  }

  async push({ subscription }: AddressOf<'web'>, notice: Notice): Promise<Tried> {
    const url = urlOf(subscription.endpoint)
    if (!url || !this.#options.reach.admits(url)) return UNREACHABLE
    const afterMs = this.#origins.enter(url.origin)
    if (afterMs > 0) return { kind: 'later', afterMs, untried: true }
    let worked = true
    try {
      const answer = await this.#ask(url, subscription, notice)
      worked = answer.status < 500
      return outcomeOf(answer)
    } catch (error) {
      if (!(error instanceof NoAnswer)) return { kind: 'refused', reason: 'not encryptable' }
      worked = false
      return error.code === OUT_OF_REACH ? UNREACHABLE : { kind: 'later', afterMs: 0 }
    } finally {
      this.#origins.done(url.origin, worked)
    }
  }

  async close(): Promise<void> {}

  #ask(url: URL, subscription: WebSubscription, notice: Notice): Promise<OutgoingAnswer> {
    const { reach, ca } = this.#options
    // 13 MB that a server without such devices does not need.
    const library = createRequire(import.meta.url)('web-push') as Library
    const { headers, body } = this.#request(library, url, subscription, notice)
    return ask({
      method: 'POST',
      url: url.href,
      headers,
      body,
      timeoutMs: TIMEOUT_MS,
      ca,
      lookup: reach.lookup,
    })
  }

  /** Without keys nothing may be said at all, not even encrypted. */
  #request(library: Library, url: URL, { endpoint, keys }: WebSubscription, notice: Notice) {
    const isMessage = notice.kind === 'message'
    const options: RequestOptions = {
      TTL: ttlOf(notice.kind),
      urgency: isMessage && !notice.urgent ? ('normal' as const) : ('high' as const),
      ...(isMessage && { topic: MESSAGE_TOPIC }),
      headers: { Authorization: this.#authorization(library, url.origin) },
      vapidDetails: NO_DETAILS,
    }
    const target = {
      endpoint,
      keys: { p256dh: base64url(keys?.p256dh), auth: base64url(keys?.auth) },
    }
    const details = keys
      ? library.generateRequestDetails(target, JSON.stringify(dataOf(notice)), options)
      : library.generateRequestDetails(target, null, options)
    const { 'Content-Length': _, ...headers } = details.headers as Record<string, string | number>
    return {
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
      body: details.body ?? '',
    }
  }

  /** A signed token costs more than the rest of a push: it is kept for an hour. */
  #authorization(library: Library, origin: string): string {
    const { clock, keys, contact } = this.#options
    const nowMs = clock.nowMs()
    const known = this.#authorizations.get(origin)
    if (known && known.untilMs > nowMs) return known.header
    if (this.#authorizations.size >= MAX_TOKENS) this.#authorizations.clear()
    const expiresAtS = Math.floor((nowMs + 12 * TOKEN_KEPT_MS) / 1000)
    const made = library.getVapidHeaders(
      origin,
      contact,
      keys.publicKey,
      keys.privateKey,
      'aes128gcm',
      expiresAtS,
    )
    const header = made.Authorization!
    this.#authorizations.set(origin, { header, untilMs: nowMs + TOKEN_KEPT_MS })
    return header
  }
}

/** As the library has it: the token is in the headers already. */
const NO_DETAILS = null as unknown as NonNullable<RequestOptions['vapidDetails']>

const base64url = (bytes: Uint8Array = new Uint8Array(0)): string => Buffer.from(bytes).toString('base64url')

function urlOf(endpoint: string): URL | undefined {
  const url = URL.parse(endpoint)
  return url?.protocol === 'https:' ? url : undefined
}

/** Redirects are not followed: a service that moved tells its clients. */
function outcomeOf({ status, headers }: OutgoingAnswer): Tried {
  if (status >= 200 && status < 300) return { kind: 'sent' }
  if (GONE.includes(status)) return { kind: 'unregistered' }
  if (status !== 429 && status < 500) return { kind: 'refused', reason: `status ${status}` }
  return { kind: 'later', afterMs: 1000 * (retryAfterSeconds(headers['retry-after']) ?? 0) }
}

function ttlOf(kind: Notice['kind']): number {
  if (kind === 'message') return MESSAGE_TTL_S
  return kind === 'verificationCode' ? CODE_REQUESTED_TTL_S : CHALLENGE_TTL_S
}
