// The queues of devices: what is added is durable before anybody hears of it, and gone soon after it is acknowledged.

import type { Aci, DeviceAddress, DeviceId } from '../../../wire/types.ts'
import type { Bus, BusEvent, Subscription } from '../../kit/bus.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Housekeeping } from '../../kit/housekeeping.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { Account } from '../accounts/account.ts'
import type { Acknowledgeable } from './envelope.ts'
import { type Handed, Removals } from './removals.ts'
import { Sequence, seqAt } from './sequence.ts'
import type { MessageStore, Queue, Queued, SharedContent } from './store.ts'

/** What a queue's reader hears. */
export type QueueEvent =
  | { readonly type: 'message'; readonly local?: Arrival }
  | { readonly type: 'offer'; readonly local: Offer }
  | { readonly type: 'connected'; readonly local: object }
  | { readonly type: 'disconnect' }

/** A copy for one queue. */
export type Copy = {
  readonly queue: Queue
  readonly envelope: Uint8Array
  readonly about: Acknowledgeable
  /** Wakes its device at once, if nobody reads. */
  readonly urgent: boolean
}
/** A copy for one queue whose envelope begins with `head` and ends with what it shares with others. */
export type SharingCopy = Omit<Copy, 'envelope'> & { readonly head: Uint8Array }
/** A message that has just been stored. */
export type Arrival = Copy & { readonly seq: number }

/** Messages about to be stored; `announce` tells the readers, once they are. */
export type Prepared = { readonly statements: readonly Statement[]; readonly announce: () => void }

/** A message that is not stored. A reader that takes it says so, and later whether the client acknowledged it. */
export type Offer = Omit<Copy, 'queue' | 'urgent'> & {
  /** Without a `settled` nobody waits for an answer, and a reader may hold it back for a moment. */
  readonly settled: ((acknowledged: boolean) => void) | undefined
  taken: boolean
}

/** Wakes devices that do not read. */
export interface Waker {
  /** Goes into the transaction of the message that the device is woken for. */
  due(queue: Queue, urgent: boolean): Statement
  /** What was due is on disk. */
  noted(): void
  /** Somebody reads from now on. */
  reading(queue: Queue): void
  /** Nobody reads any more, and something may be left. */
  left(queue: Queue): void
}

export const EXPIRE_AFTER_MS = 30 * DAY_MS
const EXPIRE_EVERY_MS = 3_600_000
const EXPIRE_BATCH = 1_000

export type QueuesOptions = {
  readonly store: MessageStore
  readonly bus: Bus
  readonly clock: Clock
  readonly housekeeping: Housekeeping
  readonly onBug: (error: unknown, where: string) => void
}

export class Queues {
  readonly #store: MessageStore
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #sequence: Sequence
  readonly #removals: Removals
  /** Queues of devices that can be woken, while messages for them are being stored. */
  readonly #arriving = new Tally()
  #waker: Waker | undefined

  private constructor(options: QueuesOptions, last: number) {
    this.#store = options.store
    this.#bus = options.bus
    this.#clock = options.clock
    this.#sequence = new Sequence(options.clock, last)
    this.#removals = new Removals(options.store, options.clock, options.onBug)
    options.housekeeping.every(EXPIRE_EVERY_MS, 'messages.expire', () => this.expire())
  }

  static async open(options: QueuesOptions): Promise<Queues> {
    return new Queues(options, await options.store.lastSeq())
  }

  /** Adds one message to each queue, and does `also`, all or nothing. Resolves on disk; then the readers know. */
  async add(copies: readonly Copy[], also: readonly Statement[] = []): Promise<void> {
    const arrivals = copies.map((copy) => this.#arrival(copy))
    const statements = arrivals.map((arrival) => this.#store.add(arrival.queue, arrival))
    await this.#write([...also, ...statements], arrivals)
  }

  /** The same for copies that share their content. They are one list of statements, however many they are. */
  async addSharing(content: SharedContent, copies: readonly SharingCopy[]): Promise<void> {
    const statements = [this.#store.share(content, this.#sequence.next())]
    const arrivals = copies.map((copy) => new SharingArrival(copy, content, this.#sequence.nextShared()))
    for (const { queue, seq, head } of arrivals)
      statements.push(this.#store.addSharing(queue, seq, head, content))
    await this.#write(statements, arrivals)
  }

  /** Shows copies to the queues' readers and keeps nothing. */
  offerSharing(content: SharedContent, copies: readonly SharingCopy[]): void {
    for (const copy of copies)
      this.#publish(copy.queue, { type: 'offer', local: new SharingOffer(copy, content) })
  }

  /** `add` for whoever writes more than messages. The statements must be handed to the storage before anything is awaited. */
  prepare(copies: readonly Copy[]): Prepared {
    const arrivals = copies.map((copy) => this.#arrival(copy))
    const statements = arrivals.map((arrival) => this.#store.add(arrival.queue, arrival))
    return {
      statements: [...statements, ...this.#wakeUps(arrivals)],
      announce: () => this.#announce(arrivals),
    }
  }

  /** Who wakes devices that do not read; without one they wait until they come by themselves. */
  wakeBy(waker: Waker): void {
    this.#waker = waker
  }

  isRead(queue: Queue): boolean {
    return this.#bus.isHeard(queue.channel)
  }

  /** Its reader is gone; `mayHold`: something may be left in the queue. Or it is on its way to the disk. */
  left(queue: Queue, mayHold: boolean): void {
    if ((mayHold || this.#arriving.has(queue.channel)) && !this.isRead(queue)) this.#waker?.left(queue)
  }

  /** Shows a message to the queue's reader and keeps nothing. True if there is one that takes it. */
  offer(
    { queue, envelope, about }: Omit<Copy, 'urgent'>,
    settled?: (acknowledged: boolean) => void,
  ): boolean {
    const offer: Offer = { envelope, about, settled, taken: false }
    this.#publish(queue, { type: 'offer', local: offer })
    return offer.taken
  }

  /** Removes an acknowledged message, with others, within a moment. */
  remove(queue: Queue, handed: Handed): void {
    this.#removals.add(queue, handed)
  }

  /** Resolves when what `remove` was told of a queue is gone from it. */
  settled(queue: Queue): Promise<void> {
    return this.#removals.settled(queue)
  }

  /** The statement that removes one message. */
  removal(queue: Queue, { seq }: Handed): Statement {
    return this.#store.remove(queue, seq, seq)
  }

  /** A condition: nothing waits in the queue. */
  emptiness(queue: Queue): Statement {
    return this.#store.emptiness(queue)
  }

  page(queue: Queue, after: number, limit: number): Promise<Queued[]> {
    return this.#store.page(queue, after, limit)
  }

  /** Whether a message still waits that came in that millisecond or before. */
  async holdsFrom(queue: Queue, ms: number): Promise<boolean> {
    const [oldest] = await this.#store.page(queue, 0, 1)
    return oldest !== undefined && oldest.seq < seqAt(ms + 1)
  }

  listen(queue: Queue, listener: (event: QueueEvent) => void): Subscription {
    return this.#bus.subscribe(queue.channel, listener as (event: BusEvent) => void)
  }

  /** Tells older readers of the queue that a newer one, `reader`, has come. */
  claim(queue: Queue, reader: object): void {
    this.#publish(queue, { type: 'connected', local: reader })
    this.#waker?.reading(queue)
  }

  /** Sends the sockets of devices away; they have to authenticate again. */
  disconnect(aci: Aci, devices: readonly DeviceId[]): void {
    for (const deviceId of devices)
      this.#bus.publish(deviceChannel({ aci, deviceId }), { type: 'disconnect' })
  }

  /** Tells when a device's sockets must go. */
  listenToDevice(address: DeviceAddress, listener: () => void): Subscription {
    return this.#bus.subscribe(deviceChannel(address), listener)
  }

  deleted({ aci }: Account): Statement[] {
    return this.#store.clear(aci)
  }

  replaced({ aci }: Account): Statement[] {
    return this.#store.clear(aci)
  }

  unlinked({ aci }: Account, deviceId: DeviceId): Statement[] {
    return this.#store.clearDevice(aci, deviceId)
  }

  /** Removes what nobody fetched for 30 days. */
  async expire(): Promise<void> {
    const before = seqAt(this.#clock.nowMs() - EXPIRE_AFTER_MS)
    while (await this.#store.expire(before, EXPIRE_BATCH));
  }

  /** Removes what was acknowledged. */
  drain(): Promise<void> {
    return this.#removals.drain()
  }

  #arrival({ queue, envelope, about, urgent }: Copy): Arrival {
    return { queue, envelope, about, urgent, seq: this.#sequence.next() }
  }

  #wakeUps(arrivals: readonly Arrival[]): Statement[] {
    const waker = this.#waker
    if (!waker) return []
    const sleeping = arrivals.filter(({ queue }) => queue.isWakeable && !this.isRead(queue))
    return sleeping.map(({ queue, urgent }) => waker.due(queue, urgent))
  }

  async #write(statements: readonly Statement[], arrivals: readonly Arrival[]): Promise<void> {
    const wakeable = this.#waker ? arrivals.filter(({ queue }) => queue.isWakeable) : []
    for (const { queue } of wakeable) this.#arriving.add(queue.channel)
    try {
      await this.#store.write([...statements, ...this.#wakeUps(arrivals)])
    } finally {
      for (const { queue } of wakeable) this.#arriving.remove(queue.channel)
    }
    this.#announce(arrivals)
  }

  #announce(arrivals: readonly Arrival[]): void {
    for (const arrival of arrivals) this.#publish(arrival.queue, { type: 'message', local: arrival })
    if (arrivals.some(({ queue }) => queue.isWakeable)) this.#waker?.noted()
  }

  #publish(queue: Queue, event: QueueEvent): void {
    this.#bus.publish(queue.channel, event)
  }
}

/** Its envelope is made when a reader wants it: few of many recipients are there. */
class SharingOffer implements Offer {
  readonly about: Acknowledgeable
  readonly head: Uint8Array
  readonly settled = undefined
  taken = false
  readonly #content: SharedContent

  constructor({ about, head }: SharingCopy, content: SharedContent) {
    this.about = about
    this.head = head
    this.#content = content
  }

  get envelope(): Uint8Array {
    return Buffer.concat([this.head, this.#content.bytes])
  }
}

class SharingArrival extends SharingOffer implements Arrival {
  readonly queue: Queue
  readonly urgent: boolean
  readonly seq: number

  constructor(copy: SharingCopy, content: SharedContent, seq: number) {
    super(copy, content)
    this.queue = copy.queue
    this.urgent = copy.urgent
    this.seq = seq
  }
}

/** How often each is there. */
class Tally {
  readonly #counts = new Map<string, number>()

  has(name: string): boolean {
    return this.#counts.has(name)
  }

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  remove(name: string): void {
    const left = (this.#counts.get(name) ?? 0) - 1
    if (left > 0) this.#counts.set(name, left)
    else this.#counts.delete(name)
  }
}

const deviceChannel = ({ aci, deviceId }: DeviceAddress) => `device:${aci}.${deviceId}`
