// What an account has to do with backups: it commits to blinded ids, and gets credentials for them (signal-api §2.20).

import {
  BackupAuthCredentialRequest,
  BackupCredentialType,
  BackupLevel,
  ReceiptCredentialPresentation,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { type Aci, type DeviceAddress, PRIMARY_DEVICE } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { LimiterName, Limits } from '../../kit/limits.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Dated, Issuer } from '../credentials/issuer.ts'
import { redemptionDays } from '../credentials/redemption-days.ts'
import { type Commitment, CommitmentStore } from './commitment-store.ts'

export type Level = 'free' | 'paid'
/** Serialized `BackupAuthCredentialRequest`s. */
export type BackupIds = {
  readonly messages: Uint8Array | undefined
  readonly media: Uint8Array | undefined
}
export type DatedCredentials = { readonly messages: readonly Dated[]; readonly media: readonly Dated[] }
export type Redeemed = 'redeemed' | 'invalid' | 'uncommitted'

export type BackupCredentialsOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly issuer: Issuer
  readonly limits: Limits
  readonly clock: Clock
  /** What everybody may do without a receipt. */
  readonly level: Level
}

const PAID_RECEIPT = BigInt(BackupLevel.Paid)
/** Receipts are remembered for so long after they expired, should a clock be set back. */
const RECEIPT_PADDING_MS = DAY_MS

export class BackupCredentials {
  readonly #store: CommitmentStore
  readonly #options: BackupCredentialsOptions

  constructor(options: BackupCredentialsOptions) {
    this.#store = new CommitmentStore(options.sql)
    this.#options = options
  }

  /** Sets one id or both. Refuses with 403 a linked device, with 429 who changes them too often. */
  async setBackupId(caller: DeviceAddress, ids: BackupIds): Promise<void> {
    const { accounts, limits } = this.#options
    if (caller.deviceId !== PRIMARY_DEVICE) throw new Refusal('forbidden')
    mustBeRequests(ids)
    const known = await this.#store.find(caller.aci)
    const changesMessages = isAnother(ids.messages, known?.messages)
    const changesMedia = isAnother(ids.media, known?.media)
    if (!changesMessages && !changesMedia) return
    if (changesMessages) await limits.take('setBackupId', caller.aci)
    if (changesMedia && this.#isPaid(known)) await limits.take('setPaidMediaBackupId', caller.aci)
    const statement = this.#store.commit(caller.aci, ids)
    await accounts.updateBy(
      caller,
      (account) => ({ ...account }),
      () => [statement],
    )
  }

  /** Seconds until both ids could be changed; 0 if they can be now. */
  async secondsToNextId({ aci }: DeviceAddress): Promise<number> {
    const paid = this.#isPaid(await this.#store.find(aci))
    const limiters: LimiterName[] = paid ? ['setBackupId', 'setPaidMediaBackupId'] : ['setBackupId']
    return Math.max(...(await Promise.all(limiters.map((name) => this.#secondsTo(name, aci)))))
  }

  /** A credential of each kind for every day; nothing if not both ids were set. Refuses (400) days that are not offered. */
  async issue(
    { aci }: DeviceAddress,
    startSeconds: number | undefined = Number.NaN,
    endSeconds: number | undefined = Number.NaN,
  ): Promise<DatedCredentials | undefined> {
    const days = redemptionDays(this.#options.clock.nowMs(), startSeconds, endSeconds)
    const known = await this.#store.find(aci)
    if (!known?.messages || !known.media) return undefined
    const [messages, media] = await Promise.all([
      this.#issue(known, known.messages, BackupCredentialType.Messages, days),
      this.#issue(known, known.media, BackupCredentialType.Media, days),
    ])
    return { messages, media }
  }

  /** Pays for the higher level until the receipt expires. The account that redeemed a receipt may do so again. */
  async redeem({ aci }: DeviceAddress, presentation: Uint8Array): Promise<Redeemed> {
    const { issuer, clock } = this.#options
    const receipt = readReceipt(presentation)
    if (!(await issuer.receiptShown(presentation))) return 'invalid'
    const expiresAtMs = receipt.getReceiptExpirationTime() * 1000
    if (expiresAtMs < clock.nowMs()) return 'invalid'
    if (receipt.getReceiptLevel() !== PAID_RECEIPT)
      throw new Refusal('bad-request', { field: 'presentation', message: 'is for no level of backups' })
    const serial = receipt.getReceiptSerialBytes().serialize()
    const known = await this.#store.find(aci)
    if (known?.receiptSerial && isSame(known.receiptSerial, serial)) return 'redeemed'
    const redeemed = await this.#store.redeem({ aci, serial, expiresAtMs })
    return redeemed === 'used' ? 'invalid' : redeemed
  }

  /** What a receipt still pays for; what everybody has is no entitlement. */
  async entitlement(aci: Aci): Promise<{ backupLevel: number; expirationSeconds: number } | undefined> {
    const paidUntilMs = (await this.#store.find(aci))?.paidUntilMs ?? 0
    if (paidUntilMs <= this.#options.clock.nowMs()) return undefined
    return { backupLevel: BackupLevel.Paid, expirationSeconds: paidUntilMs / 1000 }
  }

  /** Forgets receipts that can't be redeemed any more. */
  forgetReceipts(): Promise<void> {
    return this.#store.forgetReceipts(this.#options.clock.nowMs() - RECEIPT_PADDING_MS)
  }

  /** The backups themselves cannot be found from here: only who holds their credentials can delete them. */
  deleted({ aci }: Account): Statement[] {
    return [this.#store.remove(aci)]
  }

  /** The days that are paid come first. */
  async #issue(
    known: Commitment,
    request: Uint8Array,
    type: BackupCredentialType,
    days: readonly number[],
  ): Promise<readonly Dated[]> {
    const paid = days.filter((day) => this.#isPaid(known, day * 1000))
    const free = days.slice(paid.length)
    const issue = (level: BackupLevel, some: readonly number[]) =>
      some.length > 0 ? this.#options.issuer.backupAuth(request, level, type, some) : []
    const issued = await Promise.all([issue(BackupLevel.Paid, paid), issue(BackupLevel.Free, free)])
    return issued.flat()
  }

  /** Whether an account has the higher level now, and still has it on a day. */
  #isPaid(known: Commitment | undefined, dayMs = 0): boolean {
    const { level, clock } = this.#options
    if (level === 'paid') return true
    return known !== undefined && clock.nowMs() < known.paidUntilMs && dayMs <= known.paidUntilMs
  }

  async #secondsTo(name: LimiterName, aci: Aci): Promise<number> {
    try {
      await this.#options.limits.check(name, aci)
      return 0
    } catch (error) {
      if (error instanceof Refusal && error.kind === 'rate-limited')
        return error.detail.retryAfterSeconds ?? 1
      throw error
    }
  }
}

const isSame = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0

const isAnother = (given: Uint8Array | undefined, known: Uint8Array | undefined): boolean =>
  given !== undefined && !(known && isSame(given, known))

const badRequest = (field: string, message: string) => new Refusal('bad-request', { field, message })

function mustBeRequests({ messages, media }: BackupIds): void {
  if (!messages && !media) throw badRequest('messages_backup_auth_credential_request', 'one must be present')
  try {
    for (const request of [messages, media]) {
      if (request) new BackupAuthCredentialRequest(new Uint8Array(request))
    }
  } catch {
    throw badRequest('backup_auth_credential_request', 'must be such a request')
  }
}

function readReceipt(presentation: Uint8Array): ReceiptCredentialPresentation {
  try {
    return new ReceiptCredentialPresentation(new Uint8Array(presentation))
  } catch {
    throw badRequest('presentation', 'must be such a presentation')
  }
}
