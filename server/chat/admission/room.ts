// Whether the host has room for more accounts: once it has not, it takes a good deal more to have it again.
import type { Clock } from '../../kit/clock.ts'
import type { FreeRoom } from '../../kit/free-room.ts'

/** Of what is demanded, to have room again. */
const AGAIN = 1.25
const MEASURE_EVERY_MS = 5_000
/** A host that cannot be measured is no reason to let nobody in. */
const PLENTY: FreeRoom = { diskBytes: Number.POSITIVE_INFINITY, memoryBytes: Number.POSITIVE_INFINITY }

export type Scarce = 'disk' | 'memory'

export type RoomOptions = {
  readonly measure: () => Promise<FreeRoom>
  readonly clock: Clock
  readonly minFreeDisk: number
  readonly minFreeMemory: number
}

export class Room {
  readonly #options: RoomOptions
  #scarce: Scarce | undefined
  #measured: { readonly atMs: number; readonly free: Promise<FreeRoom> } | undefined

  constructor(options: RoomOptions) {
    this.#options = options
  }

  /** What there is too little of. Measured when it is asked for, and not more often than every few seconds. */
  async scarce(): Promise<Scarce | undefined> {
    const { diskBytes, memoryBytes } = await this.free()
    const { minFreeDisk, minFreeMemory } = this.#options
    const enough = (what: Scarce, free: number, least: number) =>
      free >= (this.#scarce === what ? least * AGAIN : least)
    if (!enough('disk', diskBytes, minFreeDisk)) this.#scarce = 'disk'
    else if (!enough('memory', memoryBytes, minFreeMemory)) this.#scarce = 'memory'
    else this.#scarce = undefined
    return this.#scarce
  }

  async free(): Promise<FreeRoom> {
    const { clock, measure } = this.#options
    const atMs = clock.steadyMs()
    if (!this.#measured || atMs - this.#measured.atMs >= MEASURE_EVERY_MS)
      this.#measured = { atMs, free: measure().catch(() => PLENTY) }
    return this.#measured.free
  }
}
