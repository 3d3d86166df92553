// The fate of every message and of every receipt, and each way in which the server can break its promise (design §6).
import { type Copy, freshCopy, Lane, type LaneTraits } from './lane.ts'

/** "An acknowledged message is gone within a second." */
export const GONE_WITHIN_MS = 1_000
const MAX_COMPLAINTS = 20

export class Ledger {
  readonly lanes: readonly Lane[]
  /** What the server did and must not, in words; the first of many. */
  readonly complaints: string[] = []
  readonly totals = {
    sent: 0,
    accepted: 0,
    delivered: 0,
    lost: 0,
    /** Handed over again although acknowledged: the server died before that was durable. */
    againAfterAck: 0,
    /** Handed over again because nobody had acknowledged it. */
    againUnacknowledged: 0,
    receipts: 0,
    complaints: 0,
  }
  /** The oldest acknowledgement that a kill undid, in milliseconds before the kill. */
  oldestUndoneMs = 0
  #life = 0
  readonly #killedAtMs: number[] = []
  readonly #upToDate = new WeakSet<object>()

  readonly #say: (line: string) => void

  /** `say` hears of the first of what is wrong, as it happens. */
  constructor(lanes: readonly LaneTraits[], say: (line: string) => void) {
    this.#say = say
    this.lanes = lanes.map((traits, index) => new Lane(index, traits))
  }

  /** The life of the server that is now, or the next one if it is dead. */
  get life(): number {
    return this.#life
  }

  /** Gives the number of the message that is about to be sent. */
  sent(lane: Lane): number {
    this.totals.sent++
    lane.open.set(lane.next, freshCopy())
    return lane.next++
  }

  accepted(lane: Lane, sequence: number): void {
    this.totals.accepted++
    const copy = lane.open.get(sequence)
    if (copy) copy.accepted = true
  }

  /** `connection` is an object that stands for the connection on which it came. */
  delivered(lane: Lane, sequence: number, connection: object): void {
    const copy = lane.open.get(sequence)
    if (!copy) {
      this.#complain(lane, sequence, sequence < lane.next ? 'came again after it was gone' : 'was never sent')
      return
    }
    this.#keepsOrder(lane, sequence, copy, connection)
    if (copy.handedOn === undefined) this.totals.delivered++
    else this.#again(lane, sequence, copy, connection)
    copy.handedOn = connection
    lane.highest = Math.max(lane.highest, sequence)
    lane.reached.set(connection, sequence)
  }

  /** A receipt may come more than once, but none before the message was acknowledged, and one for each acknowledgement. */
  receipt(lane: Lane, sequence: number, id: number): void {
    const tally = lane.receipts.get(sequence)
    if (lane.traits.sealed || !tally) {
      this.#complain(lane, sequence, 'has a receipt though nobody acknowledged it')
      return
    }
    if (tally.ids.size === 0) this.totals.receipts++
    tally.ids.add(id)
    if (tally.ids.size > tally.acknowledgements)
      this.#complain(
        lane,
        sequence,
        `has ${tally.ids.size} receipts for ${tally.acknowledgements} acknowledgements`,
      )
  }

  acknowledged(lane: Lane, sequence: number, atMs: number): void {
    const copy = lane.open.get(sequence)
    if (!copy) return
    copy.ackedAtMs = atMs
    copy.ackedInLife = this.#life
    if (lane.traits.sealed) return
    const tally = lane.receipts.get(sequence)
    if (tally) tally.acknowledgements++
    else lane.receipts.set(sequence, { acknowledgements: 1, ids: new Set() })
  }

  /** The server is killed: whatever has no answer now, never gets one. */
  killed(atMs: number): void {
    this.#killedAtMs[this.#life++] = atMs
    for (const lane of this.lanes) lane.settled = lane.next
  }

  /** The server said that everything that waited for this person was handed over on this connection. */
  queueEmpty(person: number, connection: object): void {
    this.#upToDate.add(connection)
    for (const lane of this.lanes) if (lane.traits.recipient === person) this.#settle(lane, connection)
  }

  /** After the last drain: nothing may be owed any more. */
  conclude(): void {
    for (const lane of this.lanes) {
      for (const [sequence, copy] of lane.open)
        if (copy.ackedAtMs === undefined && copy.accepted) this.#lose(lane, sequence, 'was lost')
      for (const [sequence, { ids }] of lane.receipts)
        if (ids.size === 0) this.#complain(lane, sequence, 'never had its receipt')
    }
  }

  refused(lane: Lane, sequence: number, status: number): void {
    this.#complain(lane, sequence, `was answered with ${status}`)
  }

  complain(words: string): void {
    this.totals.complaints++
    if (this.complaints.length >= MAX_COMPLAINTS) return
    this.complaints.push(words)
    this.#say(words)
  }

  #settle(lane: Lane, connection: object): void {
    for (const [sequence, copy] of lane.open) {
      if (sequence >= lane.settled) break
      if (copy.handedOn === connection) continue
      lane.open.delete(sequence)
      if (copy.ackedAtMs !== undefined) continue
      if (copy.handedOn !== undefined) this.#lose(lane, sequence, 'vanished before it was acknowledged')
      else if (copy.accepted) this.#lose(lane, sequence, 'was lost')
    }
  }

  #keepsOrder(lane: Lane, sequence: number, copy: Copy, connection: object): void {
    const reached = lane.reached.get(connection) ?? -1
    if (sequence <= reached) this.#complain(lane, sequence, `came after number ${reached}`)
    else if (copy.handedOn === undefined && sequence < lane.highest)
      this.#complain(lane, sequence, `came for the first time after number ${lane.highest}`)
    else if (!this.#upToDate.has(connection)) this.#overtakesNobody(lane, sequence, connection)
  }

  /** In a backlog nothing may be passed over that was not acknowledged. */
  #overtakesNobody(lane: Lane, sequence: number, connection: object): void {
    for (const [earlier, copy] of lane.open) {
      if (earlier >= sequence) return
      const isOwed = copy.handedOn === undefined ? copy.accepted : copy.ackedAtMs === undefined
      if (isOwed && copy.handedOn !== connection) this.#complain(lane, sequence, `overtook number ${earlier}`)
    }
  }

  #again(lane: Lane, sequence: number, copy: Copy, connection: object): void {
    if (copy.handedOn === connection) this.#complain(lane, sequence, 'came twice on one connection')
    if (copy.ackedAtMs === undefined) {
      this.totals.againUnacknowledged++
      return
    }
    this.totals.againAfterAck++
    const undoneMs = (this.#killedAtMs[copy.ackedInLife] ?? Number.POSITIVE_INFINITY) - copy.ackedAtMs
    this.oldestUndoneMs = Math.max(this.oldestUndoneMs, undoneMs)
    if (undoneMs > GONE_WITHIN_MS)
      this.#complain(
        lane,
        sequence,
        `came again although acknowledged ${undoneMs.toFixed(0)} ms before the kill`,
      )
    copy.ackedAtMs = undefined
  }

  #lose(lane: Lane, sequence: number, how: string): void {
    this.totals.lost++
    this.#complain(lane, sequence, how)
  }

  #complain({ index, traits }: Lane, sequence: number, words: string): void {
    const { sender, recipient, sealed, way } = traits
    const lane = `lane ${index} (${sender} to ${recipient}, ${sealed ? 'sealed' : 'identified'}, ${way})`
    this.complain(`${lane}, life ${this.#life}: message ${sequence} ${words}`)
  }
}
