// What an answer of FCM means (firebase.google.com/docs/cloud-messaging/error-codes).
import { z } from 'zod'
import { retryAfterSeconds } from '../../kit/outgoing.ts'
import type { LineAnswer } from '../http2-line.ts'
import { parsedJson } from '../parsed-json.ts'
import type { Tried } from '../provider.ts'

const word = z.string().regex(/^[A-Z_]{1,40}$/)
const FCM_ERROR = 'type.googleapis.com/google.firebase.fcm.v1.FcmError'
const failure = z.object({
  error: z.object({
    status: word.optional().catch(undefined),
    details: z
      .array(z.object({ '@type': z.string(), errorCode: word.optional().catch(undefined) }))
      .catch([]),
  }),
})
/** "If no retry-after header is set, default to 60 seconds." */
const QUOTA_MS = 60_000

/** `unauthorised`: our token is not taken. */
export type FcmOutcome = Tried | { readonly kind: 'unauthorised' }

export function outcomeOf({ status, headers, body }: LineAnswer): FcmOutcome {
  if (status === 200) return { kind: 'sent' }
  const { code, reason } = wordsOf(status, body)
  if (code === 'UNREGISTERED') return { kind: 'unregistered' }
  const afterMs = 1000 * (retryAfterSeconds(headers['retry-after']) ?? 0)
  if (status === 429) return { kind: 'later', afterMs: afterMs || QUOTA_MS, reason }
  if (status >= 500) return { kind: 'later', afterMs, broken: true, reason }
  if (code !== undefined) return { kind: 'refused', reason }
  if (status === 401) return { kind: 'unauthorised' }
  // The account may not push in this project, or there is none: true of every push, until somebody mends it.
  if (status === 403 || status === 404) return { kind: 'later', afterMs, broken: true, reason }
  return { kind: 'refused', reason }
}

/** `code` is FCM's own word for a message that it looked at; `reason` the best that there is. */
function wordsOf(status: number, body: string): { code: string | undefined; reason: string } {
  const found = failure.safeParse(parsedJson(body))
  const error = found.success ? found.data.error : undefined
  const code = error?.details.find((detail) => detail['@type'] === FCM_ERROR)?.errorCode
  return { code, reason: code ?? error?.status ?? `status ${status}` }
}
