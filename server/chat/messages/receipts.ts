// Delivery receipts: the sender's devices learn that a message arrived (signal-api §2.11.2).
//
// A message leaves its queue only when its receipt is safe: in the sender's queue, by the same transaction, or in the
// hands of the sender's client. Most senders are connected, and then a receipt costs no write.
import type { Clock, Timer } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import {
  type Acknowledgeable,
  DELIVERY_RECEIPT,
  encodeEnvelope,
  GUID_BYTES,
  type Outgoing,
} from './envelope.ts'
import type { Copy, Queues } from './queues.ts'
import type { Handed } from './removals.ts'
import { type Queue, queueOf } from './store.ts'

/** How long the sender's client may take to acknowledge before the receipt is stored after all. */
const HOLD_MS = 250

/** A message that was acknowledged by a device. Without `handed` it is in no queue. */
type Acknowledged = { readonly queue: Queue; readonly handed: Handed | undefined }
type Held = Acknowledged & { readonly copies: readonly Copy[]; readonly untilMs: number }

export type ReceiptsOptions = {
  readonly accounts: Accounts
  readonly queues: Queues
  readonly clock: Clock
  readonly random: Random
  readonly onBug: (error: unknown, where: string) => void
}

export class Receipts {
  readonly #options: ReceiptsOptions
  /** In the order of their times. */
  readonly #held = new Set<Held>()
  #timer: Timer | undefined
  #storing: Promise<void> = Promise.resolve()

  constructor(options: ReceiptsOptions) {
    this.#options = options
  }

  /** Sees to it that the message's sender learns of it, and that the message then leaves its queue. */
  acknowledged(message: Acknowledged, about: Acknowledgeable): void {
    const { accounts } = this.#options
    const sender = about.source && accounts.peek(about.source.id)
    if (sender) this.#issue(message, about, sender)
    else this.#track(this.#look(message, about))
  }

  /** Resolves when no message of a queue waits for its receipt: a new reader must not see it again. */
  async settled(queue: Queue): Promise<void> {
    // A receipt may still be looking for its sender, and be held after that.
    await this.#storing
    for (const held of this.#held) if (held.queue.channel === queue.channel) this.#store(held)
    await this.#storing
  }

  /** Stores what is not yet acknowledged, and waits until it is on disk. */
  async drain(): Promise<void> {
    let known: Promise<void>
    do {
      for (const held of this.#held) this.#store(held)
      known = this.#storing
      await known
    } while (known !== this.#storing || this.#held.size > 0)
  }

  async #look(message: Acknowledged, about: Acknowledgeable): Promise<void> {
    const sender = about.source && (await this.#options.accounts.find(about.source.id))
    if (sender) this.#issue(message, about, sender)
    else this.#forget(message)
  }

  #issue(message: Acknowledged, about: Acknowledgeable, sender: Account): void {
    const copies = this.#copies(message.queue, about, sender)
    const untilMs = this.#options.clock.steadyMs() + HOLD_MS
    const held: Held = { ...message, copies, untilMs }
    this.#held.add(held)
    const settled = (acknowledged: boolean) => this.#settled(held, acknowledged)
    const taken = copies.length === 1 && this.#options.queues.offer(copies[0]!, settled)
    if (!taken) this.#store(held)
    else this.#timer ??= this.#options.clock.after(HOLD_MS, () => this.#sweep())
  }

  #copies(by: Queue, about: Acknowledgeable, sender: Account): Copy[] {
    const receipt: Outgoing = {
      type: DELIVERY_RECEIPT,
      source: { id: about.destination ?? by.aci, deviceId: by.deviceId },
      destination: about.source!.id,
      clientTimestampMs: about.clientTimestampMs,
      serverTimestampMs: this.#options.clock.nowMs(),
      urgent: false,
      story: false,
      content: undefined,
    }
    return sender.devices.map((device) => ({
      queue: queueOf(sender, device),
      envelope: encodeEnvelope(receipt, this.#options.random.bytes(GUID_BYTES)),
      about: receipt,
      urgent: false,
    }))
  }

  #settled(held: Held, acknowledged: boolean): void {
    if (!this.#held.has(held)) return
    if (acknowledged) {
      this.#held.delete(held)
      this.#forget(held)
    } else this.#store(held)
  }

  #forget({ queue, handed }: Acknowledged): void {
    if (handed) this.#options.queues.remove(queue, handed)
  }

  #store(held: Held): void {
    this.#held.delete(held)
    const { queues } = this.#options
    this.#track(queues.add(held.copies, held.handed ? [queues.removal(held.queue, held.handed)] : []))
  }

  #track(work: Promise<void>): void {
    const done = work.catch((error) => this.#options.onBug(error, 'messages.receipt'))
    this.#storing = Promise.all([this.#storing, done]).then(() => {})
  }

  #sweep(): void {
    this.#timer = undefined
    const nowMs = this.#options.clock.steadyMs()
    for (const held of this.#held) {
      if (held.untilMs > nowMs) {
        this.#timer = this.#options.clock.after(held.untilMs - nowMs, () => this.#sweep())
        return
      }
      this.#store(held)
    }
  }
}
