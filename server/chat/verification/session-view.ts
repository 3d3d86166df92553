// A session as its client sees it (signal-api §2.1).
import type { Transport } from './senders/sender.ts'
import type { Session } from './store.ts'

/** Seconds to wait before the second, third, … code of a session; after the last there is none. */
const RESEND_AFTER_S = [60, 120, 240, 480]

/** Times are seconds from now, null is not possible. */
export type SessionView = {
  readonly id: string
  readonly nextSms: number | null
  readonly nextCall: number | null
  readonly nextVerificationAttempt: number | null
  readonly allowedToRequestCode: boolean
  /** The preferred first; one of them is enough. */
  readonly requestedInformation: ('pushChallenge' | 'captcha')[]
  readonly verified: boolean
}

/** Seconds until another code may be sent that way; null if the session has had all it gets. */
export function waitSeconds(session: Session, transport: Transport, nowMs: number): number | null {
  const { count, lastAtMs } = session.sent[transport]
  if (count === 0) return 0
  const afterS = RESEND_AFTER_S[count - 1]
  return afterS === undefined ? null : Math.max(0, Math.ceil((lastAtMs + afterS * 1000 - nowMs) / 1000))
}

/** `knows`: whether anybody can send that way at all. */
export function viewOf(
  session: Session,
  nowMs: number,
  knows: (transport: Transport) => boolean,
): SessionView {
  const open = !session.verified
  const requestedInformation = open ? informationOf(session) : []
  const enterable =
    open && session.codeDigest !== undefined && session.attemptsLeft > 0 && session.codeExpiresAtMs > nowMs
  return {
    id: session.id,
    nextSms: open && knows('sms') ? waitSeconds(session, 'sms', nowMs) : null,
    nextCall: open && knows('voice') ? waitSeconds(session, 'voice', nowMs) : null,
    nextVerificationAttempt: enterable ? 0 : null,
    allowedToRequestCode: open && requestedInformation.length === 0,
    requestedInformation,
    verified: session.verified,
  }
}

export const informationOf = ({ wantsPush, wantsCaptcha }: Session): SessionView['requestedInformation'] => [
  ...(wantsPush ? (['pushChallenge'] as const) : []),
  ...(wantsCaptcha ? (['captcha'] as const) : []),
]
