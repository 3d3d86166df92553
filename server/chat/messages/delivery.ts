// One reader of one queue: hands it messages in order and takes acknowledgements (signal-api §1.3.2, §2.11.2).
import type { Subscription } from '../../kit/bus.ts'
import type { Clock } from '../../kit/clock.ts'
import { type Acknowledgeable, DELIVERY_RECEIPT, readEnvelope } from './envelope.ts'
import type { Arrival, Offer, QueueEvent, Queues } from './queues.ts'
import type { Reader, ReaderListener } from './reader.ts'
import type { Receipts } from './receipts.ts'
import type { Handed } from './removals.ts'
import type { Queue } from './store.ts'

/** Messages that a client may leave unanswered. */
export const MAX_IN_FLIGHT = 256
const PAGE = 100
const SMALLEST_PAGE = 4
/** An ephemeral message that could not be handed over by then is forgotten. */
const EPHEMERAL_LIFETIME_MS = 10_000
const MAX_EPHEMERAL = 100

type InFlight = {
  readonly about: Acknowledgeable
  /** Where it stands in the queue, if it is stored. */
  readonly handed: Handed | undefined
  readonly settled: ((acknowledged: boolean) => void) | undefined
}
type Waiting = { readonly offer: Offer; readonly untilMs: number }

export type DeliveryOptions = {
  readonly queue: Queue
  readonly reader: Reader
  readonly queues: Queues
  readonly receipts: Receipts
  readonly clock: Clock
  readonly receivesStories: boolean
  readonly onBug: (error: unknown, where: string) => void
}

export class Delivery implements ReaderListener {
  readonly #options: DeliveryOptions
  readonly #inFlight = new Map<number, InFlight>()
  readonly #subscriptions: Subscription[]
  /** Everything up to here was handed to the client. */
  #cursor = 0
  /** The store may hold more than was read. */
  #behind = true
  #reading = false
  /** Smaller for a client that takes bytes slowly: what it can't be handed is read again. */
  #page = PAGE
  /** A message was refused: nothing more until the client connects again. */
  #frozen = false
  #closed = false
  /** The last message of the backlog; the end of the backlog waits for its answer. */
  #backlogEnd: number | undefined
  #emptySaid = false
  #ephemeral: Waiting[] | undefined

  constructor(options: DeliveryOptions) {
    this.#options = options
    const { queue, queues, reader } = options
    queues.claim(queue, this)
    this.#subscriptions = [
      queues.listen(queue, (event) => this.#heard(event)),
      queues.listenToDevice(queue, () => reader.dismiss('reauthenticate')),
    ]
    reader.listen(this)
    void this.#begin()
  }

  answered(id: number, accepted: boolean): void {
    const message = this.#inFlight.get(id)
    if (!message) return
    this.#inFlight.delete(id)
    if (accepted) this.#acknowledged(message)
    else this.#refused(message)
    if (this.#behind || !this.#emptySaid) this.#pump()
  }

  drained(): void {
    this.#pump()
  }

  closed(): void {
    this.#closed = true
    for (const subscription of this.#subscriptions) subscription.cancel()
    const { queues, queue } = this.#options
    queues.left(queue, this.#behind || this.#reading || this.#frozen || this.#inFlight.size > 0)
    for (const { settled } of this.#inFlight.values()) settled?.(false)
    this.#inFlight.clear()
  }

  /** What the device acknowledged on an earlier socket must not come again on this one. */
  async #begin(): Promise<void> {
    const { queues, receipts, queue, onBug } = this.#options
    this.#reading = true
    await receipts
      .settled(queue)
      .then(() => queues.settled(queue))
      .catch((error) => onBug(error, 'messages.begin'))
    this.#reading = false
    this.#pump()
  }

  get #canSend(): boolean {
    const { reader } = this.#options
    return !this.#closed && !this.#frozen && this.#inFlight.size < MAX_IN_FLIGHT && reader.isReady
  }

  #heard(event: QueueEvent): void {
    if (event.type === 'message') this.#arrived(event.local)
    else if (event.type === 'offer') this.#offered(event.local)
    else if (event.type === 'connected' && event.local !== this) {
      this.#options.reader.dismiss('displaced')
    }
  }

  #arrived(arrival: Arrival | undefined): void {
    if (arrival && !this.#behind && !this.#reading && this.#canSend) {
      if (arrival.seq > this.#cursor) this.#handOver(arrival.seq, arrival.envelope, arrival.about)
    } else {
      this.#behind = true
      this.#pump()
    }
  }

  #offered(offer: Offer): void {
    if (!this.#behind && !this.#reading && this.#canSend) {
      offer.taken = true
      this.#request(offer.envelope, { about: offer.about, handed: undefined, settled: offer.settled })
    } else if (!offer.settled) this.#keep(offer)
  }

  #keep(offer: Offer): void {
    this.#ephemeral ??= []
    const untilMs = this.#options.clock.steadyMs() + EPHEMERAL_LIFETIME_MS
    if (this.#ephemeral.length < MAX_EPHEMERAL) this.#ephemeral.push({ offer, untilMs })
  }

  #handOver(seq: number, envelope: Uint8Array, about: Acknowledgeable): void {
    const handed = { seq, previous: this.#cursor }
    this.#cursor = seq
    if (about.story && !this.#options.receivesStories)
      this.#options.queues.remove(this.#options.queue, handed)
    else this.#request(envelope, { about, handed, settled: undefined })
  }

  #request(envelope: Uint8Array, message: InFlight): void {
    this.#inFlight.set(this.#options.reader.deliver(envelope), message)
  }

  /** Goes on with whatever can be done now. */
  #pump(): void {
    if (this.#closed || this.#reading) return
    if (!this.#behind) this.#caughtUp()
    else if (this.#canSend) void this.#read()
  }

  async #read(): Promise<void> {
    this.#reading = true
    this.#behind = false
    const { queues, queue, onBug, reader } = this.#options
    const limit = Math.min(this.#page, MAX_IN_FLIGHT - this.#inFlight.size)
    try {
      const page = await queues.page(queue, this.#cursor, limit)
      const unsent = page.findIndex(({ seq, envelope }) => {
        if (!this.#canSend) return true
        this.#handOver(seq, envelope, readEnvelope(envelope))
        return false
      })
      this.#page = unsent < 0 ? PAGE : Math.max(SMALLEST_PAGE, 2 * unsent)
      if (page.length === limit || unsent >= 0) this.#behind = true
    } catch (error) {
      this.#behind = true
      onBug(error, 'messages.read')
      reader.dismiss('failed')
    } finally {
      this.#reading = false
    }
    this.#pump()
  }

  #caughtUp(): void {
    this.#backlogEnd ??= lastKey(this.#inFlight) ?? 0
    this.#releaseEphemeral()
    if (this.#emptySaid || this.#frozen) return
    const oldest = this.#inFlight.keys().next().value
    if (oldest !== undefined && oldest <= this.#backlogEnd) return
    this.#emptySaid = true
    this.#options.reader.endBacklog()
  }

  #releaseEphemeral(): void {
    const waiting = this.#ephemeral
    if (!waiting) return
    this.#ephemeral = undefined
    const nowMs = this.#options.clock.steadyMs()
    for (const { offer, untilMs } of waiting) if (untilMs > nowMs) this.#offered(offer)
  }

  #acknowledged(message: InFlight): void {
    const { queues, queue, receipts } = this.#options
    const { about, handed, settled } = message
    if (about.source && about.type !== DELIVERY_RECEIPT && about.source.id !== about.destination) {
      receipts.acknowledged({ queue, handed }, about)
    } else if (handed) queues.remove(queue, handed)
    settled?.(true)
  }

  #refused({ settled }: InFlight): void {
    this.#frozen = true
    settled?.(false)
  }
}

function lastKey(map: ReadonlyMap<number, unknown>): number | undefined {
  let last: number | undefined
  for (const key of map.keys()) last = key
  return last
}
