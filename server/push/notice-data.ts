import type { Notice } from '../kit/push-gateway.ts'

/** What a push carries, in the names that Signal's Android app reads (signal-api §2.9). */
export function dataOf(notice: Notice): Readonly<Record<string, string>> {
  switch (notice.kind) {
    case 'message':
      return { newMessageAlert: '' }
    case 'challenge':
      return { challenge: notice.value }
    case 'rateLimitChallenge':
      return { rateLimitChallenge: notice.value }
    case 'attemptLogin':
      return { attemptLoginContext: notice.value }
    case 'verificationCode':
      return { verificationCodeRequested: JSON.stringify({ timestamp: notice.atMs }) }
  }
}
