// What Signal's iOS app reads (signal-api §2.9), and the headers that Apple wants for it.
import { DAY_MS } from '../../kit/days.ts'
import type { Notice } from '../../kit/push-gateway.ts'

/** The longest that Apple keeps one. */
const KEPT_MS = 30 * DAY_MS
const CODE_KEPT_MS = 600_000
/** One on the screen stands for however many. */
const COLLAPSE_ID = 'incoming-message'

const ALERT = { 'mutable-content': 1, alert: { 'loc-key': 'APN_Message' } }
/** Shows nothing: the app looks by itself. */
const BACKGROUND = { 'content-available': 1 }

export type Notification = {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export function notificationOf(notice: Notice, nowMs: number): Notification {
  switch (notice.kind) {
    case 'message': {
      if (!notice.urgent) return background(nowMs, {})
      const { headers, body } = alert(nowMs + KEPT_MS, {})
      return { headers: { ...headers, 'apns-collapse-id': COLLAPSE_ID }, body }
    }
    case 'challenge':
      return background(nowMs, { challenge: notice.value })
    case 'rateLimitChallenge':
      return background(nowMs, { rateLimitChallenge: notice.value })
    case 'attemptLogin':
      return alert(nowMs + KEPT_MS, { attemptLoginContext: notice.value })
    case 'verificationCode':
      return alert(nowMs + CODE_KEPT_MS, { verificationCodeRequested: { timestamp: notice.atMs } })
  }
}

const alert = (untilMs: number, properties: object): Notification => ({
  headers: headers('alert', '10', untilMs),
  body: JSON.stringify({ aps: ALERT, ...properties }),
})

/** "Always use priority 5." */
const background = (nowMs: number, properties: object): Notification => ({
  headers: headers('background', '5', nowMs + KEPT_MS),
  body: JSON.stringify({ aps: BACKGROUND, ...properties }),
})

const headers = (type: 'alert' | 'background', priority: string, untilMs: number) => ({
  'apns-push-type': type,
  'apns-priority': priority,
  'apns-expiration': String(Math.floor(untilMs / 1000)),
})
