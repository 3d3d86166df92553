// Sending one message to many accounts: who may, to which devices, all or nothing (signal-api §2.11.1).
import { MAX_CONTENT_BYTES } from '../../../wire/limits.ts'
import type { Unidentified } from '../../../wire/route.ts'
import { isPni, MAX_TIMESTAMP_MS, type ServiceId } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Account, deviceOf } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { UnidentifiedAccess } from '../accounts/unidentified-access.ts'
import type { Issuer } from '../credentials/issuer.ts'
import type { ChatEvents } from '../events.ts'
import { encodeHead, GUID_BYTES, type Outgoing } from './envelope.ts'
import { type Mismatch, mismatchOf } from './mismatch.ts'
import { type MultiRecipient, parseMultiRecipient, type Recipient } from './multi-recipient.ts'
import type { Queues, SharingCopy } from './queues.ts'
import { queueOf, type SharedContent } from './store.ts'

export type GroupSending = {
  /** A sealed message with all its recipients. */
  readonly payload: Uint8Array
  readonly ephemeral: boolean
  readonly urgent: boolean
  /** Milliseconds by the sender's clock; 0 means the server's. */
  readonly timestampMs: number
}

export type GroupSent =
  /** `unresolved`: recipients who have no account any more. */
  | { readonly kind: 'sent'; readonly unresolved: readonly ServiceId[] }
  | { readonly kind: 'refused' | 'not-found' }
  | { readonly kind: 'mismatched'; readonly recipients: readonly (Mismatch & { readonly id: ServiceId })[] }

export type GroupMessagesOptions = {
  readonly accounts: Accounts
  readonly access: UnidentifiedAccess
  readonly issuer: Pick<Issuer, 'groupSendToken'>
  readonly queues: Queues
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly events: ChatEvents
}

/** A recipient who has an account. */
type Target = { readonly recipient: Recipient; readonly account: Account }
type Resolved = { readonly targets: readonly Target[]; readonly unresolved: readonly ServiceId[] }

const SEALED = 6
const SHARED_ID_BYTES = 16
/** What others ask of the storage comes between these. */
const LOOKUPS_AT_ONCE = 100
/** A token for more would hold up the event loop for a millisecond or longer. */
const MAX_ON_LOOP = 64

export class GroupMessages {
  readonly #options: GroupMessagesOptions

  constructor(options: GroupMessagesOptions) {
    this.#options = options
  }

  /**
   * Sends to everybody or, if anything is wrong, to nobody. Resolves when every copy is on disk. `remoteAddress` is
   * asked of the limiter of lookups when an access key learns who exists.
   */
  async send(access: Unidentified, sending: GroupSending, remoteAddress: string): Promise<GroupSent> {
    const message = read(sending)
    if (access.kind !== 'group-send-token') return this.#sendByKey(access, message, sending, remoteAddress)
    const ids = message.recipients.map(({ id }) => id)
    if (!(await this.#isAdmitted(access.token, ids, message.excluded))) return { kind: 'refused' }
    return this.#deliver(message, await this.#resolve(message), sending, false)
  }

  /** A story needs no proof, and tells nobody who exists. */
  async sendStory(access: Unidentified, sending: GroupSending): Promise<GroupSent> {
    const message = read(sending)
    if (access.kind === 'group-send-token') throw new Refusal('bad-request')
    const { targets } = await this.#resolve(message)
    for (const { account } of targets) await this.#options.limits.take('stories', account.aci)
    return this.#deliver(message, { targets, unresolved: [] }, sending, true)
  }

  /** A token for exactly the recipients, or for them and all who were left out. */
  async #isAdmitted(
    token: Uint8Array,
    ids: readonly ServiceId[],
    excluded: readonly ServiceId[],
  ): Promise<boolean> {
    if (await this.#isTokenFor(token, ids)) return true
    return excluded.length > 0 && (await this.#isTokenFor(token, [...ids, ...excluded]))
  }

  #isTokenFor(token: Uint8Array, ids: readonly ServiceId[]): boolean | Promise<boolean> {
    const { access, issuer, clock } = this.#options
    return ids.length > MAX_ON_LOOP
      ? issuer.groupSendToken(token, ids, clock.nowMs())
      : access.isTokenFor(token, ids)
  }

  /** The older proof: all recipients' access keys in one. */
  async #sendByKey(
    access: Unidentified,
    message: MultiRecipient,
    sending: GroupSending,
    remoteAddress: string,
  ): Promise<GroupSent> {
    if (access.kind !== 'access-key' || message.recipients.some(({ id }) => isPni(id)))
      return { kind: 'refused' }
    const resolved = await this.#resolve(message)
    const accounts = resolved.targets.map(({ account }) => account)
    const isComplete = resolved.unresolved.length === 0
    if (isComplete && this.#options.access.opensAll(access.key, accounts))
      return this.#deliver(message, resolved, sending, false)
    await this.#options.limits.take('checkAccountExistence', remoteAddress)
    return { kind: isComplete ? 'refused' : 'not-found' }
  }

  async #resolve({ recipients }: MultiRecipient): Promise<Resolved> {
    const { accounts } = this.#options
    const found: (Account | undefined)[] = []
    for (let at = 0; at < recipients.length; at += LOOKUPS_AT_ONCE) {
      const some = recipients.slice(at, at + LOOKUPS_AT_ONCE)
      found.push(...(await Promise.all(some.map(({ id }) => accounts.peek(id) ?? accounts.find(id)))))
    }
    return {
      targets: recipients.flatMap((recipient, at) => {
        const account = found[at]
        return account ? [{ recipient, account }] : []
      }),
      unresolved: recipients.filter((_, at) => !found[at]).map(({ id }) => id),
    }
  }

  async #deliver(
    { shared, recipients }: MultiRecipient,
    { targets, unresolved }: Resolved,
    sending: GroupSending,
    story: boolean,
  ): Promise<GroupSent> {
    const { events, queues, random } = this.#options
    if (recipients[0]!.own.length + shared.length > MAX_CONTENT_BYTES) throw new Refusal('too-large')
    const mismatched = targets.flatMap(({ recipient, account }) => {
      const mismatch = mismatchOf(account, recipient.id, recipient.devices)
      return mismatch ? [{ ...mismatch, id: recipient.id }] : []
    })
    if (mismatched.length > 0) {
      events.notSent('mismatched')
      return { kind: 'mismatched', recipients: mismatched }
    }
    const content = { id: random.bytes(SHARED_ID_BYTES), bytes: shared }
    const copies = targets.flatMap((target) => this.#address(target, content, sending, story))
    if (sending.ephemeral) queues.offerSharing(content, copies)
    else if (copies.length > 0) await queues.addSharing(content, copies)
    events.sent(copies.length, sending.ephemeral)
    return { kind: 'sent', unresolved }
  }

  /** A copy for each device of a recipient. */
  #address(
    { recipient, account }: Target,
    content: SharedContent,
    sending: GroupSending,
    story: boolean,
  ): SharingCopy[] {
    const serverTimestampMs = this.#options.clock.nowMs()
    const message: Outgoing = {
      type: SEALED,
      source: undefined,
      destination: recipient.id,
      clientTimestampMs: sending.timestampMs || serverTimestampMs,
      serverTimestampMs,
      urgent: sending.urgent,
      story,
      content: undefined,
    }
    return recipient.devices.map(({ deviceId }) => ({
      queue: queueOf(account, deviceOf(account, deviceId)!),
      head: encodeHead(message, this.#options.random.bytes(GUID_BYTES), recipient.own, content.bytes.length),
      about: message,
      urgent: sending.urgent,
    }))
  }
}

function read({ payload, timestampMs }: GroupSending): MultiRecipient {
  if (!(timestampMs >= 0 && timestampMs <= MAX_TIMESTAMP_MS))
    throw new Refusal('bad-request', { field: 'timestamp', message: 'must be a time' })
  return parseMultiRecipient(payload)
}
