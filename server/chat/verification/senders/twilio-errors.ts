// Twilio's errors (https://www.twilio.com/docs/api/errors) as what they mean to a client. Of an error only its number is
// looked at: its words contain phone numbers.
import { NoAnswer } from '../../../kit/outgoing.ts'
import type { SendOutcome } from './sender.ts'
import { TwilioBusy } from './twilio-client.ts'

/** The number is none, or none that Twilio knows. */
const NO_NUMBER = new Set([21201, 21211, 21217, 21421, 21604, 60033, 60200])
/** It can't be reached this way: a landline, a region or carrier not served, an unsubscribed person. */
const NOT_THIS_WAY = new Set([
  21214, 21215, 21407, 21408, 21610, 21612, 21614, 21635, 60205, 60220, 60223, 60605,
])
/** Twilio sends nothing there: it takes the number for one of fraud, or was told so. */
const NEVER = new Set([21216, 60238, 60410])
/** What the operator has to mend or pay for; the same request may succeed then. */
const OPERATORS_MATTER = new Set([
  20003, 20005, 20006, 20403, 20404, 21210, 21212, 21219, 21601, 21603, 21606, 21608, 21611, 21617, 21659,
  21703, 21704, 21705,
])
/** So many codes went to this number that there are no more for ten minutes. */
const ENOUGH_SENT = new Set([60203, 60212])
const ENOUGH_SENT_S = 600

const unavailable = (detail: string | number): SendOutcome => ({
  kind: 'refused',
  reason: 'providerUnavailable',
  permanentFailure: false,
  detail,
})

/** What is thrown by the package while it sends. */
export function outcomeOf(error: unknown): SendOutcome {
  if (error instanceof NoAnswer)
    return error.mayHaveArrived ? { kind: 'unknown', detail: error.code } : unavailable(error.code)
  if (error instanceof TwilioBusy)
    return { kind: 'rate-limited', retryAfterSeconds: busySeconds(error), detail: error.code }
  const { status = 0, code = status } = (error ?? {}) as { status?: number; code?: number }
  return outcomeOfCode(status, code)
}

const busySeconds = ({ code, retryAfterSeconds }: TwilioBusy): number | undefined =>
  retryAfterSeconds ?? (ENOUGH_SENT.has(code) ? ENOUGH_SENT_S : undefined)

function outcomeOfCode(status: number, detail: number): SendOutcome {
  if (ENOUGH_SENT.has(detail)) return { kind: 'rate-limited', retryAfterSeconds: ENOUGH_SENT_S, detail }
  if (NOT_THIS_WAY.has(detail)) return { kind: 'not-allowed', detail }
  if (NO_NUMBER.has(detail))
    return { kind: 'refused', reason: 'illegalArgument', permanentFailure: true, detail }
  if (NEVER.has(detail))
    return { kind: 'refused', reason: 'providerRejected', permanentFailure: true, detail }
  // A gateway lost the answer of whoever was behind it.
  if (status === 502 || status === 504) return { kind: 'unknown', detail }
  if (status < 400 || status >= 500 || [401, 403, 404].includes(status) || OPERATORS_MATTER.has(detail))
    return unavailable(detail)
  return { kind: 'refused', reason: 'providerRejected', permanentFailure: true, detail }
}
