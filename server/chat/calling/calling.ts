// Calls between two people: where they are relayed, and how they were.
import type { Aci } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type RelayCredentials, relayCredentials } from '../../kit/relay-credentials.ts'
import type { ChatEvents } from '../events.ts'

export type RelayAddress = {
  readonly urls: readonly string[]
  readonly urlsWithIps: readonly string[]
  /** Whose certificate to expect behind an address. */
  readonly hostname?: string | undefined
}
/** `ttl`: seconds for which a client may keep the credentials. */
export type Relay = RelayAddress & RelayCredentials & { readonly ttl: number }

/** What must be there in a survey; the rest is not looked at. */
export type Survey = {
  readonly startTimestamp: number
  readonly endTimestamp: number
  readonly callType: string
  readonly callEndReason: string
}

export type CallingOptions = {
  readonly relays: readonly RelayAddress[]
  readonly ttl: number
  /** Shared with the relays. */
  readonly secret: Buffer
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly events: Pick<ChatEvents, 'callSurveyed'>
}

const ID_BYTES = 8
/** A call that begins when the client's `ttl` ends must still find them valid. */
const VALID_TTLS = 2

export class Calling {
  readonly #options: CallingOptions

  constructor(options: CallingOptions) {
    this.#options = options
  }

  /** Every relay with the same fresh credentials, in which nobody is named; none if none are configured. */
  async relays({ aci }: { readonly aci: Aci }): Promise<Relay[]> {
    const { relays, ttl, secret, limits, clock, random } = this.#options
    await limits.take('getCallingRelays', aci)
    const expiresSeconds = Math.floor(clock.nowMs() / 1000) + VALID_TTLS * ttl
    const credentials = relayCredentials(secret, expiresSeconds, random.bytes(ID_BYTES).toString('hex'))
    return relays.map((relay) => ({ ...relay, ...credentials, ttl }))
  }

  /** Counts the survey and forgets it. Refuses (422) one that lacks a mandatory field. */
  async survey(survey: Survey, remoteAddress: string): Promise<void> {
    const { limits, events } = this.#options
    await limits.take('submitCallQualitySurvey', remoteAddress)
    const missing = [
      survey.startTimestamp === 0 && 'start_timestamp',
      survey.endTimestamp === 0 && 'end_timestamp',
      survey.callType.trim() === '' && 'call_type',
      survey.callEndReason.trim() === '' && 'call_end_reason',
    ].find((field) => field !== false)
    if (missing !== undefined) throw new Refusal('invalid', { field: missing, message: 'must be present' })
    events.callSurveyed()
  }
}
