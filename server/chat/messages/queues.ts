// The queues of devices: what is added is durable before anybody hears of it, and gone soon after it is acknowledged.
import type { Aci } from '../../../wire/types.ts'
import type { Bus, BusEvent, Subscription } from '../../kit/bus.ts'
import type { Clock, Timer } from '../../kit/clock.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { Acknowledgeable } from './envelope.ts'
import { Sequence, seqAt } from './sequence.ts'
import type { MessageStore, Queue, Queued } from './store.ts'

/** What a queue's reader hears. */
export type QueueEvent =
  | { readonly type: 'message'; readonly local?: Arrival }
  | { readonly type: 'connected'; readonly local: object }
  | { readonly type: 'disconnect' }

/** A message that has just come in. One without `seq` is ephemeral: it is nowhere but here. */
export type Arrival = {
  readonly seq: number | undefined
  readonly envelope: Uint8Array
  readonly about: Acknowledgeable
}

/** How long an acknowledged message may wait for company before it is removed. */
const REMOVE_AFTER_MS = 50
const MAX_WAITING_REMOVALS = 512
export const EXPIRE_AFTER_MS = 30 * 86_400_000
const EXPIRE_EVERY_MS = 3_600_000
const EXPIRE_BATCH = 1_000

export class Queues {
  readonly #store: MessageStore
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #sequence: Sequence
  readonly #onBug: (error: unknown, where: string) => void
  #removals: Statement[] = []
  #removalTimer: Timer | undefined
  #removing: Promise<void> = Promise.resolve()
  readonly #expiry: Timer

  private constructor(options: QueuesOptions, last: number) {
    this.#store = options.store
    this.#bus = options.bus
    this.#clock = options.clock
    this.#onBug = options.onBug
    this.#sequence = new Sequence(options.clock, last)
    this.#expiry = options.clock.every(EXPIRE_EVERY_MS, () => void this.expire())
  }

  static async open(options: QueuesOptions): Promise<Queues> {
    return new Queues(options, await options.store.lastSeq())
  }

  /** Adds one message to each queue, all or none. Resolves when they are on disk; then their readers know. */
  async add(
    copies: readonly { queue: Queue; envelope: Uint8Array; about: Acknowledgeable }[],
    also: readonly Statement[] = [],
  ): Promise<void> {
    const numbered = copies.map((copy) => ({ ...copy, seq: this.#sequence.next() }))
    await this.#store.write([...also, ...numbered.map((copy) => this.#store.add(copy.queue, copy))])
    for (const { queue, seq, envelope, about } of numbered)
      this.#publish(queue, { type: 'message', local: { seq, envelope, about } })
  }

  /** Hands a message to the queue's reader if there is one now, and keeps nothing. */
  offer(queue: Queue, envelope: Uint8Array, about: Acknowledgeable): void {
    this.#publish(queue, { type: 'message', local: { seq: undefined, envelope, about } })
  }

  /** Removes what lies between two acknowledged messages, with whatever else is waiting, within a moment. */
  remove(queue: Queue, first: number, last: number): void {
    this.#removals.push(this.#store.remove(queue, first, last))
    if (this.#removals.length >= MAX_WAITING_REMOVALS) this.#flush()
    else this.#removalTimer ??= this.#clock.after(REMOVE_AFTER_MS, () => this.#flush())
  }

  removal(queue: Queue, seq: number): Statement {
    return this.#store.remove(queue, seq, seq)
  }

  page(queue: Queue, after: number, limit: number): Promise<Queued[]> {
    return this.#store.page(queue, after, limit)
  }

  listen(queue: Queue, listener: (event: QueueEvent) => void): Subscription {
    return this.#bus.subscribe(channelOf(queue), listener as (event: BusEvent) => void)
  }

  /** Tells older readers of the queue that a newer one, `reader`, has come. */
  claim(queue: Queue, reader: object): void {
    this.#publish(queue, { type: 'connected', local: reader })
  }

  /** Sends every socket of an account away; they have to authenticate again. */
  disconnect(aci: Aci): void {
    this.#bus.publish(accountChannel(aci), { type: 'disconnect' })
  }

  listenToAccount(aci: Aci, listener: () => void): Subscription {
    return this.#bus.subscribe(accountChannel(aci), listener)
  }

  /** The statement that empties all queues of an account. */
  clearing(aci: Aci): Statement {
    return this.#store.clear(aci)
  }

  /** Removes what nobody fetched for 30 days. */
  async expire(): Promise<void> {
    const before = seqAt(this.#clock.nowMs() - EXPIRE_AFTER_MS)
    try {
      while (await this.#store.expire(before, EXPIRE_BATCH));
    } catch (error) {
      this.#onBug(error, 'messages.expire')
    }
  }

  /** Removes what was acknowledged, then stops. */
  async close(): Promise<void> {
    this.#expiry.cancel()
    this.#flush()
    await this.#removing
  }

  #publish(queue: Queue, event: QueueEvent): void {
    this.#bus.publish(channelOf(queue), event)
  }

  #flush(): void {
    this.#removalTimer?.cancel()
    this.#removalTimer = undefined
    if (this.#removals.length === 0) return
    const statements = this.#removals
    this.#removals = []
    const done = this.#store.write(statements).catch((error) => this.#onBug(error, 'messages.remove'))
    this.#removing = this.#removing.then(() => done)
  }
}

export type QueuesOptions = {
  readonly store: MessageStore
  readonly bus: Bus
  readonly clock: Clock
  readonly onBug: (error: unknown, where: string) => void
}

const channelOf = (queue: Queue) => `queue:${queue.aci}.${queue.deviceId}.${queue.deviceCreatedAtMs}`
const accountChannel = (aci: Aci) => `account:${aci}`
