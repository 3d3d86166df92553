// One account in one life of the server: what it hears goes to the ledger, and it acknowledges as its mood is.
import type { Account, Target } from '../../bench/job.ts'
import type { Envelope } from '../../wire/gen/envelope.js'
import { uuidFromBytes } from '../../wire/types.ts'
import type { Lane } from './lane.ts'
import type { Ledger } from './ledger.ts'
import { type Acknowledge, Line } from './line.ts'
import { isIntact, markOf, readMark } from './mark.ts'

/** How a person acknowledges in this life: at once; many together, the last first; all but some; or not at all. */
export type Mood = 'prompt' | 'slow' | 'careless' | 'silent'

export type Person = {
  readonly index: number
  readonly account: Account
  readonly http: 'h1' | 'h2'
}

const RECEIPT = 5
const TYPES = { identified: 1, sealed: 6 } as const
const TOGETHER = 16
const FORGETS_EVERY = 7

export class Listener {
  readonly person: Person
  /** Resolves when the server has said that nothing is waiting any more. */
  readonly empty = Promise.withResolvers<void>()
  /** Messages and receipts that came in. */
  heard = 0
  readonly #ledger: Ledger
  readonly #life: number
  readonly #mood: Mood
  readonly #people: readonly Person[]
  #held: Acknowledge[] = []

  constructor(person: Person, ledger: Ledger, people: readonly Person[], mood: Mood) {
    this.person = person
    this.#ledger = ledger
    this.#life = ledger.life
    this.#people = people
    this.#mood = mood
  }

  open(target: Target): Promise<Line> {
    return Line.open(target, this.person.http, this.person.account, this)
  }

  message(envelope: Envelope, acknowledge: Acknowledge): void {
    this.heard++
    const mark = envelope.type === RECEIPT ? markOf(envelope.clientTimestamp) : readMark(envelope.content)
    const lane = this.#ledger.lanes[mark.lane]
    if (!lane || !this.#fits(envelope, lane, mark.sequence)) {
      this.#ledger.complain(`person ${this.person.index} was handed an envelope that nobody sent`)
      return
    }
    const isReceipt = envelope.type === RECEIPT
    if (isReceipt) this.#ledger.receipt(lane, mark.sequence, idOf(envelope))
    else this.#ledger.delivered(lane, mark.sequence, this)
    this.#answer(() => {
      if (this.#ledger.life !== this.#life) return
      if (!isReceipt) this.#ledger.acknowledged(lane, mark.sequence, performance.now())
      acknowledge()
    })
  }

  queueEmpty(): void {
    // Read after the kill, it tells of a queue to which the dead server may have added since.
    if (this.#ledger.life !== this.#life) return
    this.#ledger.queueEmpty(this.person.index, this)
    this.empty.resolve()
  }

  #answer(acknowledge: Acknowledge): void {
    const forgets = this.#mood === 'careless' && this.heard % FORGETS_EVERY === 0
    if (this.#mood === 'prompt' || (this.#mood === 'careless' && !forgets)) acknowledge()
    if (this.#mood !== 'slow') return
    this.#held.push(acknowledge)
    if (this.#held.length < TOGETHER) return
    for (const one of this.#held.reverse()) one()
    this.#held = []
  }

  /** From the one who sent it, to this one, and every byte of it. */
  #fits(envelope: Envelope, { traits }: Lane, sequence: number): boolean {
    const { sender, recipient, sealed } = traits
    const [from, to] = envelope.type === RECEIPT ? [recipient, sender] : [sender, recipient]
    if (to !== this.person.index) return false
    if (aciOf(envelope.destinationServiceId) !== this.person.account.aci) return false
    const source = envelope.sourceServiceId.length > 0 ? aciOf(envelope.sourceServiceId) : undefined
    if (envelope.type === RECEIPT) return source === this.#people[from]!.account.aci
    return (
      envelope.type === (sealed ? TYPES.sealed : TYPES.identified) &&
      source === (sealed ? undefined : this.#people[from]!.account.aci) &&
      isIntact(envelope.content, sequence)
    )
  }
}

const aciOf = (bytes: Uint8Array) => (bytes.length === 16 ? uuidFromBytes(bytes) : 'not an ACI')
const idOf = ({ serverGuid }: Envelope) => Buffer.from(serverGuid).readUInt32BE(0)
