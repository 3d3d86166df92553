// What one sender sent to one recipient in one way, and where each message is.

/** A message that may still be in its queue. */
export type Copy = {
  /** The sender was told that it is stored. */
  accepted: boolean
  /** The connection that last handed it over. */
  handedOn: object | undefined
  /** When it was last acknowledged, and in which life of the server; not set while it is not. */
  ackedAtMs: number | undefined
  ackedInLife: number
}

/** How often a message was acknowledged, and the receipts that came of it. */
export type Tally = { acknowledgements: number; readonly ids: Set<number> }

export const freshCopy = (): Copy => ({
  accepted: false,
  handedOn: undefined,
  ackedAtMs: undefined,
  ackedInLife: 0,
})

export type Way = 'h1' | 'h2' | 'grpc'

export type LaneTraits = {
  readonly sender: number
  readonly recipient: number
  readonly sealed: boolean
  readonly way: Way
}

export class Lane {
  readonly index: number
  readonly traits: LaneTraits
  /** The number of the next message. */
  next = 0
  /** Messages below were sent in an earlier life: what is not stored by now never will be. */
  settled = 0
  /** The highest number that was ever handed over. */
  highest = -1
  /** By number, rising; what is gone for good is not in it. */
  readonly open = new Map<number, Copy>()
  /** Where a connection stands in this lane. */
  readonly reached = new WeakMap<object, number>()
  /** Of identified messages that were acknowledged. */
  readonly receipts = new Map<number, Tally>()

  constructor(index: number, traits: LaneTraits) {
    this.index = index
    this.traits = traits
  }
}
