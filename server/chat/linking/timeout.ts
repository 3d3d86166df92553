import { Refusal } from '../../kit/refusal.ts'

const MAX_TIMEOUT_S = 3_600

/** How long a client is ready to wait, in milliseconds; from one second to an hour (400). */
export function timeoutMsOf(seconds: number): number {
  if (seconds >= 1 && seconds <= MAX_TIMEOUT_S) return seconds * 1_000
  throw new Refusal('bad-request')
}
