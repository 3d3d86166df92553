// Sending: who may, to which devices, and what becomes of it (signal-api §2.11).

import { MAX_CONTENT_BYTES } from '../../../wire/limits.ts'
import type { Access, Unidentified } from '../../../wire/route.ts'
import { type DeviceAddress, type ServiceId, uuidOf } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { UnidentifiedAccess } from '../accounts/unidentified-access.ts'
import type { Challenge, Challenges } from '../challenges/challenges.ts'
import type { ChatEvents } from '../events.ts'
import type { MessageGuids } from '../reports/message-guids.ts'
import { encodeEnvelope, GUID_BYTES, type Outgoing } from './envelope.ts'
import { type Addressed, type Mismatch, mismatchOf } from './mismatch.ts'
import type { Copy as QueueCopy, Queues } from './queues.ts'
import { queueOf } from './store.ts'

/** One device's copy. */
export type Copy = Addressed & { readonly type: number; readonly content: Uint8Array }

export type Sending = {
  readonly destination: ServiceId
  readonly copies: readonly Copy[]
  /** Delivered now or never: not stored, no push. */
  readonly ephemeral: boolean
  readonly urgent: boolean
  /** Milliseconds by the sender's clock; 0 means the server's. */
  readonly timestampMs: number
}

export type Sent =
  | { readonly kind: 'sent'; readonly needsSync: boolean }
  | { readonly kind: 'refused' | 'not-found' }
  | ({ readonly kind: 'challenged' } & Challenge)
  | ({ readonly kind: 'mismatched' } & Mismatch)

export type MessagesOptions = {
  readonly accounts: Accounts
  readonly access: UnidentifiedAccess
  readonly challenges: Challenges
  readonly guids: MessageGuids
  readonly queues: Queues
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly events: ChatEvents
}

export class Messages {
  readonly #accounts: Accounts
  readonly #access: UnidentifiedAccess
  readonly #challenges: Challenges
  readonly #guids: MessageGuids
  readonly #queues: Queues
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #random: Random
  readonly #events: ChatEvents

  constructor(options: MessagesOptions) {
    this.#accounts = options.accounts
    this.#access = options.access
    this.#challenges = options.challenges
    this.#guids = options.guids
    this.#queues = options.queues
    this.#limits = options.limits
    this.#clock = options.clock
    this.#random = options.random
    this.#events = options.events
  }

  /** Sends as whoever the caller proved to be. Resolves when every copy is on disk. */
  send(access: Access, sending: Sending): Promise<Sent> {
    if (access.kind !== 'device') return this.sendSealed(access, sending)
    if (sending.destination === access.device.aci) return this.sendSync(access.device, sending)
    return this.sendIdentified(access.device, sending)
  }

  async sendIdentified(caller: DeviceAddress, sending: Sending): Promise<Sent> {
    const { account: sender } = await this.#accounts.of(caller)
    if (sending.destination === sender.pni) throw new Refusal('forbidden')
    if (sending.destination === sender.aci) throw new Refusal('invalid', { message: 'use a sync message' })
    const target = this.#peek(sending) ?? (await this.#accounts.find(sending.destination))
    if (!target) return { kind: 'not-found' }
    await this.#limits.take('messages', `${sender.aci}__${target.aci}`)
    const challenge = this.#challenges.demand(sender, target)
    if (challenge) return { kind: 'challenged', ...(await challenge) }
    return this.#deliver(caller, target, sending, sender.devices.length > 1)
  }

  /** To the caller's own other devices. */
  async sendSync(caller: DeviceAddress, sending: Omit<Sending, 'destination'>): Promise<Sent> {
    const { account } = await this.#accounts.of(caller)
    return this.#deliver(
      caller,
      account,
      { ...sending, destination: account.aci },
      account.devices.length > 1,
    )
  }

  async sendSealed(access: Unidentified, sending: Sending): Promise<Sent> {
    const target = this.#peek(sending) ?? (await this.#accounts.find(sending.destination))
    const admitted = this.#access.admit(access, sending.destination, target)
    return admitted.kind === 'admitted' ? this.#deliver(undefined, admitted.target, sending, false) : admitted
  }

  /** A story needs no proof, and nobody learns from it who exists: an unknown recipient is a success. */
  async sendStory(access: Access, sending: Sending): Promise<Sent> {
    if (access.kind === 'group-send-token') throw new Refusal('bad-request')
    const target = await this.#accounts.find(sending.destination)
    if (!target) return { kind: 'sent', needsSync: false }
    await this.#limits.take('stories', target.aci)
    return this.#deliver(undefined, target, sending, false, true)
  }

  #peek({ destination }: Sending): Account | undefined {
    return this.#accounts.peek(destination)
  }

  async #deliver(
    from: DeviceAddress | undefined,
    target: Account,
    sending: Sending,
    needsSync: boolean,
    story = false,
  ): Promise<Sent> {
    let bytes = 0
    let largest = 0
    for (const { content } of sending.copies) {
      bytes += content.length
      largest = Math.max(largest, content.length)
    }
    const limited = this.#limits.take('inboundMessageBytes', uuidOf(sending.destination), bytes)
    if (limited) await limited
    const sendingDevice = from?.aci === target.aci ? from.deviceId : undefined
    const mismatch = mismatchOf(target, sending.destination, sending.copies, sendingDevice)
    if (mismatch) {
      this.#events.notSent('mismatched')
      return { kind: 'mismatched', ...mismatch }
    }
    if (largest > MAX_CONTENT_BYTES) throw new Refusal('too-large')
    const copies = sending.copies.map((copy) => this.#address(from, target, sending, copy, story))
    if (sending.ephemeral) for (const copy of copies) this.#queues.offer(copy)
    else await this.#queues.add(copies)
    this.#events.sent(copies.length, sending.ephemeral)
    return { kind: 'sent', needsSync }
  }

  /** A message that names its sender can be reported by its guid. */
  #guid(from: DeviceAddress | undefined, { aci }: Account): Buffer {
    return from && from.aci !== aci ? this.#guids.make(from.aci, aci) : this.#random.bytes(GUID_BYTES)
  }

  #address(
    from: DeviceAddress | undefined,
    target: Account,
    sending: Sending,
    copy: Copy,
    story: boolean,
  ): QueueCopy {
    const serverTimestampMs = this.#clock.nowMs()
    const device = target.devices.find((one) => one.id === copy.deviceId)!
    const message: Outgoing = {
      type: copy.type,
      source: from && { id: from.aci, deviceId: from.deviceId },
      destination: sending.destination,
      clientTimestampMs: sending.timestampMs || serverTimestampMs,
      serverTimestampMs,
      urgent: sending.urgent,
      story,
      content: copy.content,
    }
    const { type, source, destination, clientTimestampMs } = message
    return {
      queue: queueOf(target, device),
      envelope: encodeEnvelope(message, this.#guid(from, target)),
      about: { type, source, destination, clientTimestampMs, story },
      urgent: sending.urgent,
    }
  }
}
