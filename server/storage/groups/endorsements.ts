// Until when endorsements hold, and those given out lately: issuing them for a thousand members takes a tenth of a second.
import { createHash } from 'node:crypto'

type Bytes = Uint8Array<ArrayBuffer>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** They hold for so long at least; a client whose own do not gets new ones. */
export const MIN_ENDORSEMENT_MS = 6 * HOUR_MS
/** At most 32 bytes for each of a thousand members: 2 MB. */
const REMEMBERED = 64

/** The next start of a day (UTC) that is far enough away: clients refuse any other time. */
export function endorsementExpirationMs(nowMs: number): number {
  const next = Math.floor((nowMs + DAY_MS) / DAY_MS) * DAY_MS
  return next - nowMs < MIN_ENDORSEMENT_MS ? next + DAY_MS : next
}

/** They depend on nothing but the members, their order and the day, so every member may have the same. */
export class EndorsementMemory {
  readonly #issued = new Map<string, Promise<Bytes>>()

  of(members: readonly Uint8Array[], expiresAtMs: number, issue: () => Promise<Bytes>): Promise<Bytes> {
    const key = keyOf(members, expiresAtMs)
    const known = this.#issued.get(key)
    this.#issued.delete(key)
    const issued = known ?? issue()
    this.#issued.set(key, issued)
    issued.catch(() => this.#issued.delete(key))
    if (this.#issued.size > REMEMBERED) this.#issued.delete(this.#issued.keys().next().value!)
    return issued
  }
}

/** Each id has its length before it: no two lists look alike. */
function keyOf(members: readonly Uint8Array[], expiresAtMs: number): string {
  const hash = createHash('sha256').update(`${expiresAtMs}`)
  for (const member of members) hash.update(`:${member.length}:`).update(member)
  return hash.digest('base64')
}
