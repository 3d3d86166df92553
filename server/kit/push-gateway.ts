// What the chat server and the push gateway agree on: a push says that there is something, never what.

/** Where a device can be woken: by Apple, by Google, or at an address of its own choice (RFC 8030). */
export type PushAddress =
  | { readonly service: 'apn' | 'fcm'; readonly token: string }
  | { readonly service: 'web'; readonly subscription: WebSubscription }

/** A push subscription as clients make it: RFC 8030's resource, RFC 8291's keys. Without keys the push has no content. */
export type WebSubscription = {
  readonly endpoint: string
  readonly keys?: { readonly p256dh: Uint8Array; readonly auth: Uint8Array } | undefined
}

/**
 * `message` has nothing more to say. A challenge is proof that the phone can be reached. `attemptLogin` tells that
 * somebody tried a registration lock, `verificationCode` that somebody asked for a code, and when.
 */
export type Notice =
  | { readonly kind: 'message'; readonly urgent: boolean }
  | { readonly kind: 'challenge' | 'rateLimitChallenge' | 'attemptLogin'; readonly value: string }
  | { readonly kind: 'verificationCode'; readonly atMs: number }

export type Push = { readonly to: PushAddress; readonly notice: Notice }

/**
 * `unregistered`: nobody has that token any more; `sinceMs` is when the provider knew. `refused`: it will never be
 * taken, and that is somebody's fault: ours, or the configuration's. `unserved`: there is no provider for such an
 * address. `later`: not before so long; `untried` if the provider was not even asked, because it rests or has enough to
 * do.
 */
export type Pushed =
  | { readonly kind: 'sent' }
  | { readonly kind: 'unregistered'; readonly sinceMs?: number | undefined }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unserved' }
  | { readonly kind: 'later'; readonly afterMs: number; readonly untried?: true | undefined }

/** `unknown`: nothing was sent since the start. */
export type ProviderHealth = {
  readonly provider: PushAddress['service']
  readonly state: 'up' | 'down' | 'unknown'
  /** In the provider's words or ours, without a token or an address. */
  readonly reason?: string | undefined
}

export interface PushGateway {
  /** Tries once. Never rejects, and answers within half a minute. */
  push(push: Push): Promise<Pushed>
  /** Providers that are configured. Rejects if the gateway itself does not answer. */
  health(): Promise<readonly ProviderHealth[]>
}
