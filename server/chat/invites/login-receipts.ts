// Receipts for accounts without a number, in Signal's form of a purchase: an invite pays, and by the receipt that it gave
// nobody can tell which one it was (docs/protocol/invites.md).
import { createHash } from 'node:crypto'
import {
  ReceiptCredentialPresentation,
  ReceiptCredentialRequest,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Clock } from '../../kit/clock.ts'
import { DAY_SECONDS, startOfDaySeconds } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import type { Issuer } from '../credentials/issuer.ts'
import type { ChatEvents } from '../events.ts'
import type { Invites } from './invites.ts'
import { LoginReceiptStore } from './login-receipt-store.ts'
import { type Invite, LISTED_AFTER_MS } from './store.ts'

/** Clients demand this level, and that it ends so long after the purchase, at the start of a day. */
const LEVEL = 300n
const LASTS_DAYS = 5 * 366

export type Issued =
  | { readonly kind: 'issued'; readonly credential: Uint8Array }
  /** No such invite; or it has no use left, and this is not the request of one that it had. */
  | { readonly kind: 'no-invite' | 'used-up' }

export type LoginReceiptsOptions = {
  readonly sql: Sql
  readonly invites: Invites
  readonly issuer: Issuer
  readonly limits: Limits
  readonly clock: Clock
  readonly events: ChatEvents
}

export class LoginReceipts {
  readonly #options: LoginReceiptsOptions
  readonly #store: LoginReceiptStore

  constructor(options: LoginReceiptsOptions) {
    this.#options = options
    this.#store = new LoginReceiptStore(options.sql)
  }

  /**
   * Uses an invite up by one for a request; the same request again gets the same. Throws `Refusal`: `rate-limited`, `invalid`
   * for what is no request.
   */
  async issue(code: string, request: Uint8Array, remoteAddress: string): Promise<Issued> {
    const { invites, limits, issuer, events } = this.#options
    await limits.take('invitePage', remoteAddress)
    const digest = createHash('sha256').update(mustBeRequest(request)).digest()
    const invite = await invites.known(code)
    if (!invite || invite.number !== undefined) return { kind: 'no-invite' }
    const expirationSeconds = await this.#spend(invite, digest)
    if (expirationSeconds === undefined) return { kind: invites.isOver(invite) ? 'no-invite' : 'used-up' }
    const credential = await issuer.receipt(request, expirationSeconds, LEVEL)
    if (!credential) throw noRequest()
    events.receiptIssued()
    return { kind: 'issued', credential }
  }

  /** What uses a receipt up, in the transaction that makes the account. Refuses what is none (400), and what is not good, or was used (401). */
  async redemption(presentation: Uint8Array): Promise<Statement> {
    const { issuer, clock } = this.#options
    const receipt = readPresentation(presentation)
    if (!(await issuer.receiptShown(presentation)) || receipt.getReceiptLevel() !== LEVEL) throw notGood()
    const expiresAtMs = receipt.getReceiptExpirationTime() * 1000
    if (expiresAtMs <= clock.nowMs()) throw notGood()
    const serial = createHash('sha256').update(receipt.getReceiptSerialBytes().serialize()).digest()
    if (await this.#store.isRedeemed(serial)) throw notGood()
    return this.#store.redemption(serial, expiresAtMs)
  }

  expire(): Promise<void> {
    return this.#store.expire(this.#options.clock.nowMs())
  }

  /** When the receipt ends; nothing if there is nothing left to pay it with. */
  async #spend({ id, expiresAtMs }: Invite, requestHash: Uint8Array): Promise<number | undefined> {
    const { invites, clock } = this.#options
    const known = await this.#store.issued(id, requestHash)
    if (known !== undefined) return known
    const expirationSeconds = startOfDaySeconds(clock.nowMs()) + LASTS_DAYS * DAY_SECONDS
    const given = { inviteId: id, requestHash, expirationSeconds, forgetAtMs: expiresAtMs + LISTED_AFTER_MS }
    const written = await this.#store.issue(given, invites.consumption(id))
    // Somebody may have asked the same at the same moment.
    return written ? expirationSeconds : this.#store.issued(id, requestHash)
  }
}

const noRequest = () =>
  new Refusal('invalid', { field: 'receipt_credential_request', message: 'must be such a request' })
/** libsignal reads 401 as a receipt that is not good; Signal's server of our level says 400. */
const notGood = () => new Refusal('invalid-credentials')

function mustBeRequest(request: Uint8Array): Uint8Array {
  try {
    return new ReceiptCredentialRequest(new Uint8Array(request)).serialize()
  } catch {
    throw noRequest()
  }
}

function readPresentation(presentation: Uint8Array): ReceiptCredentialPresentation {
  try {
    return new ReceiptCredentialPresentation(new Uint8Array(presentation))
  } catch {
    throw new Refusal('bad-request', { field: 'receiptCredentialPresentation', message: 'is none' })
  }
}
