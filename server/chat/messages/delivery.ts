// One reader of one queue: hands messages to a socket in order and takes acknowledgements (signal-api §1.3.2, §2.11.2).
import { CLOSE } from '../../../wire/websocket.ts'
import type { Subscription } from '../../kit/bus.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Connection, SocketListener } from '../../kit/websocket.ts'
import { type Acknowledgeable, DELIVERY_RECEIPT, readEnvelope } from './envelope.ts'
import { isSelf, type Messages } from './messages.ts'
import type { Arrival, QueueEvent, Queues } from './queues.ts'
import type { Queue } from './store.ts'

/** Messages that a client may leave unanswered. */
export const MAX_IN_FLIGHT = 256
const PAGE = 100
const EPHEMERAL_LIFETIME_MS = 10_000

type InFlight = { readonly seq: number | undefined; readonly about: Acknowledgeable }
type Waiting = { readonly arrival: Arrival; readonly sinceMs: number }

export type DeliveryOptions = {
  readonly queue: Queue
  readonly connection: Connection
  readonly queues: Queues
  readonly messages: Messages
  readonly clock: Clock
  readonly receivesStories: boolean
  readonly onBug: (error: unknown, where: string) => void
}

export class Delivery implements SocketListener {
  readonly #options: DeliveryOptions
  readonly #inFlight = new Map<number, InFlight>()
  readonly #subscriptions: Subscription[]
  /** Everything up to here was handed to the client. */
  #cursor = 0
  /** The store may hold more than was read. */
  #behind = true
  #reading = false
  /** A message was refused: nothing more until the client connects again. */
  #frozen = false
  #closed = false
  /** The last request of the backlog; queue/empty waits for its answer. */
  #backlogEnd: number | undefined
  #emptySaid = false
  #ephemeral: Waiting[] | undefined

  constructor(options: DeliveryOptions) {
    this.#options = options
    const { queue, queues, connection } = options
    queues.claim(queue, this)
    this.#subscriptions = [
      queues.listen(queue, (event) => this.#heard(event)),
      queues.listenToAccount(queue.aci, () => connection.close(CLOSE.reauthenticate)),
    ]
    connection.listen(this)
    this.#pump()
  }

  answered(id: number, status: number): void {
    const message = this.#inFlight.get(id)
    if (!message) return
    this.#inFlight.delete(id)
    if (status >= 200 && status < 300) this.#acknowledged(message)
    else this.#frozen = true
    this.#pump()
  }

  drained(): void {
    this.#pump()
  }

  closed(): void {
    this.#closed = true
    this.#inFlight.clear()
    for (const subscription of this.#subscriptions) subscription.cancel()
  }

  get #canSend(): boolean {
    const { connection } = this.#options
    return (
      !this.#closed &&
      !this.#frozen &&
      this.#inFlight.size < MAX_IN_FLIGHT &&
      connection.isOpen &&
      !connection.congested
    )
  }

  #heard(event: QueueEvent): void {
    if (event.type === 'connected') {
      if (event.local !== this) this.#options.connection.close(CLOSE.connectedElsewhere)
    } else if (event.type === 'message') this.#arrived(event.local)
  }

  #arrived(arrival: Arrival | undefined): void {
    if (arrival?.seq === undefined) {
      if (arrival) this.#arrivedEphemeral(arrival)
      return
    }
    if (this.#behind || this.#reading || !this.#canSend) {
      this.#behind = true
      this.#pump()
    } else if (arrival.seq > this.#cursor) this.#handOver(arrival)
  }

  #arrivedEphemeral(arrival: Arrival): void {
    if (!this.#behind && this.#canSend) this.#handOver(arrival)
    else {
      this.#ephemeral ??= []
      if (this.#ephemeral.length < PAGE)
        this.#ephemeral.push({ arrival, sinceMs: this.#options.clock.nowMs() })
    }
  }

  #handOver(arrival: Arrival): void {
    if (arrival.seq !== undefined) this.#cursor = arrival.seq
    if (arrival.about.story && !this.#options.receivesStories) {
      if (arrival.seq !== undefined)
        this.#options.queues.remove(this.#options.queue, arrival.seq, arrival.seq)
      return
    }
    const headers = [`X-Signal-Timestamp:${this.#options.clock.nowMs()}`]
    const id = this.#options.connection.request('PUT', '/api/v1/message', headers, arrival.envelope)
    this.#inFlight.set(id, { seq: arrival.seq, about: arrival.about })
  }

  /** Goes on with whatever can be done now. */
  #pump(): void {
    if (this.#closed || this.#reading) return
    if (this.#behind && this.#canSend) void this.#read()
    else if (!this.#behind) this.#caughtUp()
  }

  async #read(): Promise<void> {
    this.#reading = true
    this.#behind = false
    const { queues, queue, onBug, connection } = this.#options
    const limit = Math.min(PAGE, MAX_IN_FLIGHT - this.#inFlight.size)
    try {
      const page = await queues.page(queue, this.#cursor, limit)
      for (const message of page) {
        if (!this.#canSend) break
        this.#handOver({ ...message, about: readEnvelope(message.envelope) })
      }
      const last = page.at(-1)
      if (page.length === limit || (last && last.seq > this.#cursor)) this.#behind = true
    } catch (error) {
      onBug(error, 'messages.read')
      connection.close(CLOSE.serverError)
    } finally {
      this.#reading = false
    }
    this.#pump()
  }

  #caughtUp(): void {
    this.#releaseEphemeral()
    if (this.#emptySaid || this.#frozen) return
    this.#backlogEnd ??= lastKey(this.#inFlight) ?? 0
    const oldest = this.#inFlight.keys().next().value
    if (oldest !== undefined && oldest <= this.#backlogEnd) return
    this.#emptySaid = true
    const headers = [`X-Signal-Timestamp:${this.#options.clock.nowMs()}`]
    this.#options.connection.request('PUT', '/api/v1/queue/empty', headers, NOTHING)
  }

  #releaseEphemeral(): void {
    const waiting = this.#ephemeral
    if (!waiting) return
    this.#ephemeral = undefined
    const freshMs = this.#options.clock.nowMs() - EPHEMERAL_LIFETIME_MS
    for (const { arrival, sinceMs } of waiting)
      if (sinceMs >= freshMs && this.#canSend) this.#handOver(arrival)
  }

  #acknowledged({ seq, about }: InFlight): void {
    const { queues, queue } = this.#options
    if (about.type === DELIVERY_RECEIPT || !about.source || isSelf(about)) {
      if (seq !== undefined) queues.remove(queue, seq, seq)
    } else void this.#sendReceipt(seq, about)
  }

  async #sendReceipt(seq: number | undefined, about: Acknowledgeable): Promise<void> {
    const { queues, queue, messages, onBug } = this.#options
    const also = seq === undefined ? [] : [queues.removal(queue, seq)]
    try {
      await messages.sendReceipt(queue, about, also)
    } catch (error) {
      onBug(error, 'messages.receipt')
    }
  }
}

const NOTHING = new Uint8Array(0)

function lastKey(map: ReadonlyMap<number, unknown>): number | undefined {
  let last: number | undefined
  for (const key of map.keys()) last = key
  return last
}
