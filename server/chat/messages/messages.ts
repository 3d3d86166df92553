// Sending: who may, to which devices, and what becomes of it (signal-api §2.11).

import { MAX_CONTENT_BYTES } from '../../../wire/rest/messages.ts'
import type { Access } from '../../../wire/route.ts'
import { type DeviceAddress, type DeviceId, type ServiceId, uuidOf } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Account, type Device, identityOf, registrationIdOf } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Unidentified, UnidentifiedAccess } from '../accounts/unidentified-access.ts'
import { type Acknowledgeable, DELIVERY_RECEIPT, encodeEnvelope, type Outgoing } from './envelope.ts'
import type { Queues } from './queues.ts'
import type { Queue } from './store.ts'

/** One device's copy. */
export type Copy = {
  readonly type: number
  readonly deviceId: DeviceId
  readonly registrationId: number
  readonly content: Uint8Array
}

export type Sending = {
  readonly destination: ServiceId
  readonly copies: readonly Copy[]
  /** Delivered now or never: not stored, no push. */
  readonly ephemeral: boolean
  readonly urgent: boolean
  /** Milliseconds by the sender's clock; 0 means the server's. */
  readonly timestampMs: number
}

export type Mismatch = {
  readonly missing: readonly DeviceId[]
  readonly extra: readonly DeviceId[]
  readonly stale: readonly DeviceId[]
}

export type Sent =
  | { readonly kind: 'sent'; readonly needsSync: boolean }
  | { readonly kind: 'refused' | 'not-found' }
  | ({ readonly kind: 'mismatched' } & Mismatch)

export type MessagesOptions = {
  readonly accounts: Accounts
  readonly access: UnidentifiedAccess
  readonly queues: Queues
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
}

export class Messages {
  readonly #accounts: Accounts
  readonly #access: UnidentifiedAccess
  readonly #queues: Queues
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #random: Random

  constructor(options: MessagesOptions) {
    this.#accounts = options.accounts
    this.#access = options.access
    this.#queues = options.queues
    this.#limits = options.limits
    this.#clock = options.clock
    this.#random = options.random
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
    const target = await this.#find(sending.destination)
    if (!target) return { kind: 'not-found' }
    await this.#limits.take('messages', `${sender.aci}__${target.aci}`)
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
    const target = await this.#find(sending.destination)
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

  /** Tells the sender's devices that a message was delivered; `also` is done in the same transaction. */
  async sendReceipt(
    by: DeviceAddress,
    about: Acknowledgeable,
    also: Parameters<Queues['add']>[1],
  ): Promise<void> {
    const sender = about.source && (await this.#accounts.find(about.source.id))
    const receipt: Outgoing = {
      type: DELIVERY_RECEIPT,
      source: { id: about.destination ?? by.aci, deviceId: by.deviceId },
      destination: about.source?.id ?? by.aci,
      clientTimestampMs: about.clientTimestampMs,
      serverTimestampMs: this.#clock.nowMs(),
      urgent: false,
      story: false,
      content: undefined,
    }
    const devices = sender?.devices ?? []
    await this.#queues.add(
      devices.map((device) => this.#copy(sender!, device, receipt)),
      also,
    )
  }

  async #find(id: ServiceId): Promise<Account | undefined> {
    return this.#accounts.peek(id) ?? this.#accounts.find(id)
  }

  async #deliver(
    from: DeviceAddress | undefined,
    target: Account,
    sending: Sending,
    needsSync: boolean,
    story = false,
  ): Promise<Sent> {
    const sizes = sending.copies.map((copy) => copy.content.length)
    await this.#limits.take('inboundMessageBytes', uuidOf(sending.destination), sum(sizes))
    const mismatch = compare(from?.aci === target.aci ? from.deviceId : undefined, target, sending)
    if (mismatch) return { kind: 'mismatched', ...mismatch }
    if (sizes.some((size) => size > MAX_CONTENT_BYTES)) throw new Refusal('too-large')
    const copies = sending.copies.map((copy) => this.#address(from, target, sending, copy, story))
    if (sending.ephemeral)
      for (const { queue, envelope, about } of copies) this.#queues.offer(queue, envelope, about)
    else await this.#queues.add(copies)
    return { kind: 'sent', needsSync }
  }

  #address(from: DeviceAddress | undefined, target: Account, sending: Sending, copy: Copy, story: boolean) {
    const nowMs = this.#clock.nowMs()
    const device = target.devices.find((one) => one.id === copy.deviceId)!
    return this.#copy(target, device, {
      type: copy.type,
      source: from && { id: from.aci, deviceId: from.deviceId },
      destination: sending.destination,
      clientTimestampMs: sending.timestampMs || nowMs,
      serverTimestampMs: nowMs,
      urgent: sending.urgent,
      story,
      content: copy.content,
    })
  }

  #copy(target: Account, device: Device, about: Outgoing) {
    const queue: Queue = { aci: target.aci, deviceId: device.id, deviceCreatedAtMs: device.createdAtMs }
    return { queue, envelope: encodeEnvelope(about, this.#random.bytes(16)), about }
  }
}

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0)

/** Every device of the target, but the one that sends to its own account, must be addressed as it is now. */
function compare(
  sendingDevice: DeviceId | undefined,
  target: Account,
  sending: Sending,
): Mismatch | undefined {
  const identity = identityOf(sending.destination)
  const expected = target.devices.filter((device) => device.id !== sendingDevice)
  const missing = expected.filter((device) => !sending.copies.some((copy) => copy.deviceId === device.id))
  const known = (copy: Copy) => expected.find((device) => device.id === copy.deviceId)
  const extra = sending.copies.filter((copy) => !known(copy))
  const stale = sending.copies.filter((copy) => {
    const device = known(copy)
    return device !== undefined && registrationIdOf(device, identity) !== copy.registrationId
  })
  if (missing.length + extra.length + stale.length === 0) return undefined
  return {
    missing: missing.map((device) => device.id),
    extra: extra.map((copy) => copy.deviceId),
    stale: stale.map((copy) => copy.deviceId),
  }
}

export const isSelf = (about: Acknowledgeable): boolean =>
  about.source !== undefined && about.destination !== undefined && about.source.id === about.destination
