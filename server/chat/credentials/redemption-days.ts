// For which days a device may ask for credentials at once (signal-api §2.13).
import { DAY_SECONDS, startOfDaySeconds } from '../../kit/days.ts'
import { Refusal } from '../../kit/refusal.ts'

const DAYS_BACK = 1
const DAYS_AHEAD = 8
const MAX_DAYS_BETWEEN = 7

const isDay = (seconds: number): boolean => Number.isSafeInteger(seconds) && seconds % DAY_SECONDS === 0

/** Every day from `startSeconds` to `endSeconds`, both included, as seconds. Refuses (400) a range that is not allowed. */
export function redemptionDays(nowMs: number, startSeconds: number, endSeconds: number): number[] {
  const today = startOfDaySeconds(nowMs)
  const allowed =
    isDay(startSeconds) &&
    isDay(endSeconds) &&
    startSeconds <= endSeconds &&
    startSeconds >= today - DAYS_BACK * DAY_SECONDS &&
    endSeconds <= today + DAYS_AHEAD * DAY_SECONDS &&
    endSeconds - startSeconds <= MAX_DAYS_BETWEEN * DAY_SECONDS
  if (!allowed) throw new Refusal('bad-request')
  const days = (endSeconds - startSeconds) / DAY_SECONDS + 1
  return Array.from({ length: days }, (_, day) => startSeconds + day * DAY_SECONDS)
}
