// What a primary device tells the account's others of a change of number, written together with the change.
import { MAX_CONTENT_BYTES } from '../../../wire/limits.ts'
import { type Pni, PRIMARY_DEVICE, uuidOf, uuidToBytes } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import { type Account, deviceOf } from '../accounts/account.ts'
import { encodeEnvelope, GUID_BYTES } from './envelope.ts'
import type { Copy } from './messages.ts'
import { type Mismatch, mismatchOf } from './mismatch.ts'
import type { Prepared, Copy as QueueCopy, Queues } from './queues.ts'
import { queueOf } from './store.ts'

export type Unfit = { readonly kind: 'too-large' } | ({ readonly kind: 'mismatched' } & Mismatch)

export type AccountSyncOptions = { readonly queues: Queues; readonly clock: Clock; readonly random: Random }

// Keys of the fields (number, wire type).
const UPDATED_PNI_TEXT = 0x7a
const UPDATED_PNI = Buffer.of(0xb2, 0x01)

export class AccountSync {
  readonly #options: AccountSyncOptions

  constructor(options: AccountSyncOptions) {
    this.#options = options
  }

  /** Why the copies cannot be sent. None at all can: a primary device may have nothing to say. */
  check(account: Account, copies: readonly Copy[]): Unfit | undefined {
    if (copies.length === 0) return undefined
    const mismatch = mismatchOf(account, account.aci, copies, PRIMARY_DEVICE)
    if (mismatch) return { kind: 'mismatched', ...mismatch }
    return copies.some(({ content }) => content.length > MAX_CONTENT_BYTES)
      ? { kind: 'too-large' }
      : undefined
  }

  /** `copies` were checked against this account. What comes back has to be written at once. */
  prepare(account: Account, copies: readonly Copy[], updatedPni: Pni): Prepared {
    return this.#options.queues.prepare(copies.map((copy) => this.#address(account, copy, updatedPni)))
  }

  #address(account: Account, copy: Copy, updatedPni: Pni): QueueCopy {
    const nowMs = this.#options.clock.nowMs()
    const source = { id: account.aci, deviceId: PRIMARY_DEVICE }
    const about = {
      type: copy.type,
      source,
      destination: account.aci,
      clientTimestampMs: nowMs,
      story: false,
    }
    const message = { ...about, serverTimestampMs: nowMs, urgent: true, content: copy.content }
    const envelope = encodeEnvelope(message, this.#options.random.bytes(GUID_BYTES))
    return {
      queue: queueOf(account, deviceOf(account, copy.deviceId)!),
      envelope: Buffer.concat([envelope, fieldsOf(updatedPni)]),
      about,
      urgent: true,
    }
  }
}

/** As text it is the bare UUID. */
function fieldsOf(updatedPni: Pni): Buffer {
  const uuid = uuidOf(updatedPni)
  const bytes = uuidToBytes(uuid)
  return Buffer.concat([
    Buffer.of(UPDATED_PNI_TEXT, uuid.length),
    Buffer.from(uuid),
    UPDATED_PNI,
    Buffer.of(bytes.length),
    bytes,
  ])
}
