// Who may register: what the operator's mode, his emergency stop and the room on this host say (docs/protocol/invites.md).
import type { E164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { FreeRoom } from '../../kit/free-room.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { ChatEvents } from '../events.ts'
import type { Invites } from '../invites/invites.ts'
import { Room, type Scarce } from './room.ts'
import { SwitchStore } from './store.ts'

export type RegistrationMode = 'open' | 'invite' | 'closed'
/** Why nobody new is let in. */
export type HeldBy = 'operator' | Scarce

/** So many seconds clients are told to wait while nobody is let in. */
const RETRY_AFTER_S = 3600

export type AdmissionStatus = {
  readonly mode: RegistrationMode
  readonly heldBy: HeldBy | undefined
  readonly stoppedSinceMs: number | undefined
  readonly free: FreeRoom
  /** What must be free for somebody new to be let in. */
  readonly least: FreeRoom
}

export type AdmissionOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly invites: Invites
  readonly mode: RegistrationMode
  readonly minFreeDisk: number
  readonly minFreeMemory: number
  readonly measure: () => Promise<FreeRoom>
  readonly clock: Clock
  readonly events: ChatEvents
}

export class Admission {
  readonly mode: RegistrationMode
  readonly #accounts: Accounts
  readonly #invites: Invites
  readonly #store: SwitchStore
  readonly #room: Room
  readonly #least: FreeRoom
  readonly #clock: Clock
  readonly #events: ChatEvents
  #noted: HeldBy | undefined

  constructor(options: AdmissionOptions) {
    this.mode = options.mode
    this.#accounts = options.accounts
    this.#invites = options.invites
    this.#store = new SwitchStore(options.sql)
    this.#room = new Room(options)
    this.#least = { diskBytes: options.minFreeDisk, memoryBytes: options.minFreeMemory }
    this.#clock = options.clock
    this.#events = options.events
  }

  /** Throws `Refusal('unavailable')` while nobody new is let in: nothing is sent to anybody then, whoever asks. */
  async mayAsk(): Promise<void> {
    if (await this.#heldBy()) throw new Refusal('unavailable', { retryAfterSeconds: RETRY_AFTER_S })
  }

  /** Whether a number gets its code sent. Who is new needs an invite, whose digits are told in another way. */
  async sendsTo(e164: E164): Promise<boolean> {
    return this.mode === 'open' || (await this.#accounts.findByNumber(e164)) !== undefined
  }

  /** What is written with a session's proof if an invite's digits are right. They prove nothing of a number that is taken. */
  async redeem(sessionId: string, e164: E164, digits: string): Promise<readonly Statement[] | undefined> {
    return (await this.sendsTo(e164)) ? undefined : this.#invites.redeem(sessionId, e164, digits)
  }

  /** Whether somebody new may come in, with an invite that is used up by it or without. Throws as `mayAsk`. */
  async mayJoin(invited: boolean): Promise<boolean> {
    await this.mayAsk()
    return this.mode === 'open' || (this.mode === 'invite' && invited)
  }

  async stop(): Promise<void> {
    await this.#store.stop(this.#clock.nowMs())
  }

  async start(): Promise<void> {
    await this.#store.start()
  }

  async status(): Promise<AdmissionStatus> {
    const [heldBy, stoppedSinceMs, free] = await Promise.all([
      this.#heldBy(),
      this.#store.stoppedSinceMs(),
      this.#room.free(),
    ])
    return { mode: this.mode, heldBy, stoppedSinceMs, free, least: this.#least }
  }

  async #heldBy(): Promise<HeldBy | undefined> {
    const stopped = (await this.#store.stoppedSinceMs()) !== undefined
    const held = stopped ? 'operator' : await this.#room.scarce()
    if (held !== this.#noted) this.#events.registrationHeld(held)
    this.#noted = held
    return held
  }
}
