// One sender and one recipient, and the fate of every message between them.
import { MAX_SEQUENCE } from './mark.ts'
import type { Meter } from './meter.ts'
import type { Incoming } from './signal-frames.ts'

const ACCEPTED = 1
const RECEIVED = 2
const REFUSED = 4

export class Pair implements Incoming {
  readonly index: number
  meter: Meter
  /** Puts message number `sequence` on the wire. */
  submit: (sequence: number) => void = () => {}
  /** Called when a message is done; keeps the window full. */
  onDone: (pair: Pair) => void = () => {}
  /** Whether a message is done only when it has been received, too. */
  recipientIsThere = true
  private next = 0
  private startedAtMs = new Float64Array(1024)
  private fates = new Uint8Array(1024)

  constructor(index: number, meter: Meter) {
    this.index = index
    this.meter = meter
  }

  get mayStart(): boolean {
    return this.next <= MAX_SEQUENCE
  }

  /** Sends a message whose time counts from `atMs`, when it ought to have been sent. */
  start(atMs: number): void {
    const sequence = this.next++
    if (sequence === this.fates.length) this.grow()
    this.startedAtMs[sequence] = atMs
    this.meter.underWay++
    this.submit(sequence)
  }

  accepted(sequence: number, status: number): void {
    const nowMs = this.now()
    if (status !== 200) {
      this.refused(sequence, status)
      return
    }
    this.meter.accepted++
    this.meter.ackMs.add(nowMs - this.startedAtMs[sequence]!)
    const fate = this.fates[sequence]! | ACCEPTED
    this.fates[sequence] = fate
    if (!this.recipientIsThere || fate & RECEIVED) this.done()
  }

  message(sender: number, sequence: number): void {
    const nowMs = this.now()
    if (sender !== this.index || sequence >= this.next) {
      this.meter.complain('a message went astray')
      return
    }
    const fate = this.fates[sequence]!
    if (fate & RECEIVED) {
      this.meter.duplicates++
      return
    }
    this.meter.received++
    this.fates[sequence] = fate | RECEIVED
    if (!this.recipientIsThere) return
    this.meter.endToEndMs.add(nowMs - this.startedAtMs[sequence]!)
    if (fate & ACCEPTED) this.done()
  }

  receipt(): void {
    this.now()
    this.meter.receipts++
  }

  /** Messages that the server accepted and the recipient never saw. */
  missing(): number {
    let missing = 0
    for (let sequence = 0; sequence < this.next; sequence++) {
      if ((this.fates[sequence]! & (ACCEPTED | RECEIVED)) === ACCEPTED) missing++
    }
    return missing
  }

  private refused(sequence: number, status: number): void {
    this.fates[sequence]! |= REFUSED
    this.meter.refused++
    this.meter.complain(`a send was answered with ${status}`)
    this.done()
  }

  private done(): void {
    this.meter.underWay--
    this.onDone(this)
  }

  private now(): number {
    this.meter.lastAtMs = performance.now()
    return this.meter.lastAtMs
  }

  private grow(): void {
    const startedAtMs = new Float64Array(2 * this.fates.length)
    startedAtMs.set(this.startedAtMs)
    const fates = new Uint8Array(2 * this.fates.length)
    fates.set(this.fates)
    this.startedAtMs = startedAtMs
    this.fates = fates
  }
}
