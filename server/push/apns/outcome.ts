// What an answer of APNs means (developer.apple.com: "Handling notification responses from APNs").
import { z } from 'zod'
import { retryAfterSeconds } from '../../kit/outgoing.ts'
import type { LineAnswer } from '../http2-line.ts'
import { parsedJson } from '../parsed-json.ts'
import type { Tried } from '../provider.ts'

const failure = z.object({
  reason: z.string().regex(/^[A-Za-z]{1,60}$/),
  timestamp: z.number().positive().optional().catch(undefined),
})
/** As Signal has it: a token that Apple never gave, or gave for the other environment, won't become one. */
const GONE = ['Unregistered', 'ExpiredToken', 'BadDeviceToken']
const UPDATES_MS = 60_000

/** `unauthorised`: our token is too old. */
export type ApnsOutcome = Tried | { readonly kind: 'unauthorised' }

export function outcomeOf({ status, headers, body }: LineAnswer): ApnsOutcome {
  if (status === 200) return { kind: 'sent' }
  const found = failure.safeParse(parsedJson(body))
  const { reason, timestamp } = found.success ? found.data : { reason: `status ${status}` }
  if (GONE.includes(reason)) return { kind: 'unregistered', sinceMs: timestamp }
  const afterMs = 1000 * (retryAfterSeconds(headers['retry-after']) ?? 0)
  if (reason === 'TooManyProviderTokenUpdates')
    return { kind: 'later', afterMs: afterMs || UPDATES_MS, reason }
  if (status === 429) return { kind: 'later', afterMs, reason }
  if (status >= 500) return { kind: 'later', afterMs, broken: true, reason }
  if (reason === 'ExpiredProviderToken') return { kind: 'unauthorised' }
  // It is our key or certificate that is not taken: true of every push, until somebody mends it.
  if (status === 403) return { kind: 'later', afterMs, broken: true, reason }
  return { kind: 'refused', reason }
}

/** Apple is about to end the connection that this came on. */
export const isFarewell = ({ status, body }: LineAnswer): boolean =>
  status === 503 && body.includes('"Shutdown"')
