// Days are those of UTC: zero-knowledge credentials know no others.

export const DAY_MS = 86_400_000
export const DAY_SECONDS = DAY_MS / 1000

/** Days since 1970. */
export const dayOf = (ms: number): number => Math.floor(ms / DAY_MS)
export const startOfDay = (ms: number): number => dayOf(ms) * DAY_MS
export const startOfDaySeconds = (ms: number): number => dayOf(ms) * DAY_SECONDS
