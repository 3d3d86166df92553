// What members show to the server of group calls, in Signal's format:
// `2:<SHA-256 of the user's ciphertext>:<group id>:<seconds>:<1 if they may start a call>:<the first 10 bytes of HMAC-SHA256 of all that>`.
import { createHash, createHmac } from 'node:crypto'
import type { Credentials } from '../../../wire/route.ts'
import type { Clock } from '../../kit/clock.ts'
import { mayStartCall } from './standing.ts'
import { asMember, type Visits } from './visits.ts'

const SIGNATURE_BYTES = 10

export class GroupTokens {
  readonly #visits: Visits
  readonly #secret: Uint8Array
  readonly #clock: Clock

  /** Whoever knows `secret` can be anybody in any call. */
  constructor(visits: Visits, secret: Uint8Array, clock: Clock) {
    this.#visits = visits
    this.#secret = secret
    this.#clock = clock
  }

  async issue(credentials: Credentials): Promise<string> {
    const visit = await this.#visits.of(credentials)
    const { group, standing, caller } = visit
    const user = createHash('sha256').update(asMember(visit).userId).digest('hex')
    const seconds = Math.floor(this.#clock.nowMs() / 1000)
    const starts = mayStartCall(group, standing) && !group.terminated ? '1' : '0'
    const signed = `2:${user}:${Buffer.from(caller.groupId).toString('hex')}:${seconds}:${starts}`
    const hmac = createHmac('sha256', this.#secret).update(signed).digest()
    return `${signed}:${hmac.toString('hex', 0, SIGNATURE_BYTES)}`
  }
}
