// Usernames: known by their hashes alone; a name has one owner at a time (docs/protocol/usernames.md).

import { usernames } from '@signalapp/libsignal-client'
import type { Aci, DeviceAddress } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts, Decision } from '../accounts/accounts.ts'
import { isOpenTo, isSame, ownership, reclaimedHandle, reservation } from './claim.ts'
import { UsernameStore } from './store.ts'

/** A name that was given up is its former owner's for so long. */
const HELD_MS = 7 * DAY_MS
const MAX_HOLDS = 3
/** An account that was registered anew may have its name back for so long. */
const RECLAIMABLE_MS = 3 * DAY_MS

export type Reserved = { readonly kind: 'reserved'; readonly hash: Uint8Array } | { readonly kind: 'taken' }
export type Confirmed =
  | { readonly kind: 'confirmed'; readonly hash: Uint8Array; readonly handle: string | undefined }
  | { readonly kind: 'not-reserved' }
  /** It was reserved for too long, and somebody else has it now. */
  | { readonly kind: 'lost' }
export type Linked = { readonly kind: 'linked'; readonly handle: string } | { readonly kind: 'no-username' }

export type UsernamesOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
}

export class Usernames {
  readonly #store: UsernameStore
  readonly #accounts: Accounts
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #random: Random

  constructor(options: UsernamesOptions) {
    this.#store = new UsernameStore(options.sql)
    this.#accounts = options.accounts
    this.#limits = options.limits
    this.#clock = options.clock
    this.#random = options.random
  }

  /** Keeps the first name that is free for five minutes; a name that the caller has is given at once. */
  async reserve(caller: DeviceAddress, hashes: readonly Uint8Array[]): Promise<Reserved> {
    await this.#limits.take('usernameReserve', caller.aci)
    return this.#accounts.decideBy(caller, async (account): Promise<Decision<Reserved>> => {
      const own = hashes.find((hash) => isSame(hash, account.usernameHash))
      if (own) return { outcome: { kind: 'reserved', hash: own } }
      const nowMs = this.#clock.nowMs()
      const claims = await this.#store.claimsOf(hashes)
      const claimOf = (hash: Uint8Array) => claims.find((claim) => isSame(claim.hash, hash))
      const hash = hashes.find((one) => isOpenTo(account.aci, claimOf(one), nowMs))
      if (!hash) return { outcome: { kind: 'taken' } }
      const claim = reservation(account, hash, claimOf(hash), nowMs)
      const others = [
        this.#store.forgetExpired(nowMs),
        ...this.#store.claim(claim, nowMs),
        this.#store.reserve(account.aci, hash),
      ]
      return { outcome: { kind: 'reserved', hash }, change: { account, others } }
    })
  }

  /**
   * Makes a reserved name the account's; the one before it is held for a week. If the account has the name already, nothing
   * happens, but that it gets a link if it has none. Without `ciphertext` a new name has no link. Refuses (422) a proof that
   * is not one of this hash.
   */
  async confirm(
    caller: DeviceAddress,
    hash: Uint8Array,
    proof: Uint8Array,
    ciphertext: Uint8Array | undefined,
  ): Promise<Confirmed> {
    await this.#limits.take('usernameSet', caller.aci)
    verify(proof, hash)
    return this.#accounts.decideBy(caller, async (account): Promise<Decision<Confirmed>> => {
      const nowMs = this.#clock.nowMs()
      if (isSame(hash, account.usernameHash)) return this.#confirmAgain(account, hash, ciphertext)
      if (!isSame(hash, await this.#store.reservedBy(account.aci)))
        return { outcome: { kind: 'not-reserved' } }
      const [claim] = await this.#store.claimsOf([hash])
      if (!isOpenTo(account.aci, claim, nowMs)) return { outcome: { kind: 'lost' } }
      const handle = ciphertext && (reclaimedHandle(account, claim) ?? this.#random.uuid())
      const next = { ...account, usernameHash: new Uint8Array(hash), usernameLinkHandle: handle }
      const others = [
        ...this.#store.claim(ownership(account, hash), nowMs),
        ...this.#giveUp(account, nowMs),
        this.#store.forgetReservation(account.aci),
        ...(handle ? [this.#store.link(account.aci, handle, ciphertext)] : []),
      ]
      return { outcome: confirmed(hash, next), change: { account: next, others } }
    })
  }

  /** The name is held for a week; its link is gone. */
  async delete(caller: DeviceAddress): Promise<void> {
    await this.#accounts.decideBy(caller, async (account): Promise<Decision<void>> => {
      if (!account.usernameHash) return { outcome: undefined }
      const next = { ...account, usernameHash: undefined, usernameLinkHandle: undefined }
      const others = this.#giveUp(account, this.#clock.nowMs())
      return { outcome: undefined, change: { account: next, others } }
    })
  }

  /** Puts a ciphertext behind the account's link; a new handle ends the old one, unless that is to be kept. */
  async setLink(caller: DeviceAddress, ciphertext: Uint8Array, keepHandle: boolean): Promise<Linked> {
    await this.#limits.take('usernameLinkOperation', caller.aci)
    return this.#accounts.decideBy(caller, async (account): Promise<Decision<Linked>> => {
      if (!account.usernameHash) return { outcome: { kind: 'no-username' } }
      const old = account.usernameLinkHandle
      const handle = (keepHandle ? old : undefined) ?? this.#random.uuid()
      const others = [
        ...this.#store.unlink(account.aci, old),
        this.#store.link(account.aci, handle, ciphertext),
      ]
      const next = { ...account, usernameLinkHandle: handle }
      return { outcome: { kind: 'linked', handle }, change: { account: next, others } }
    })
  }

  async deleteLink(caller: DeviceAddress): Promise<void> {
    await this.#limits.take('usernameLinkOperation', caller.aci)
    await this.#accounts.updateBy(
      caller,
      (account) =>
        account.usernameLinkHandle === undefined ? undefined : { ...account, usernameLinkHandle: undefined },
      (_, before) => this.#store.unlink(before.aci, before.usernameLinkHandle),
    )
  }

  /** Whose name it is; one that is merely reserved or held is nobody's. */
  async ownerOf(hash: Uint8Array, remoteAddress: string): Promise<Aci | undefined> {
    await this.#limits.take('usernameLookup', remoteAddress)
    const [claim] = await this.#store.claimsOf([hash])
    return claim?.state === 'owned' ? claim.aci : undefined
  }

  /** The ciphertext behind a link. */
  async linked(handle: string, remoteAddress: string): Promise<Uint8Array | undefined> {
    await this.#limits.take('usernameLinkLookupPerIp', remoteAddress)
    return this.#store.linked(handle)
  }

  deleted(account: Account): Statement[] {
    return [...this.#store.clear(account.aci), ...this.#store.unlink(account.aci, account.usernameLinkHandle)]
  }

  /** The name waits for its owner to confirm it again; the handle stays, with nothing behind it meanwhile. */
  replaced(account: Account): Statement[] {
    const { aci, usernameHash: hash, version } = account
    if (!hash) return []
    const expiresAtMs = this.#clock.nowMs() + RECLAIMABLE_MS
    return [
      this.#store.release({ hash, aci, sinceVersion: version + 1 }, 'reclaimable', expiresAtMs),
      this.#store.reserve(aci, hash),
      ...this.#store.unlink(aci, account.usernameLinkHandle),
    ]
  }

  #confirmAgain(account: Account, hash: Uint8Array, ciphertext: Uint8Array | undefined): Decision<Confirmed> {
    if (account.usernameLinkHandle !== undefined || !ciphertext) return { outcome: confirmed(hash, account) }
    const handle = this.#random.uuid()
    const next = { ...account, usernameLinkHandle: handle }
    const others = [this.#store.link(account.aci, handle, ciphertext)]
    return { outcome: confirmed(hash, next), change: { account: next, others } }
  }

  #giveUp(account: Account, nowMs: number): Statement[] {
    const { aci, usernameHash: hash, version } = account
    const unlink = this.#store.unlink(aci, account.usernameLinkHandle)
    if (!hash) return unlink
    const hold = this.#store.release({ hash, aci, sinceVersion: version + 1 }, 'held', nowMs + HELD_MS)
    return [...unlink, hold, this.#store.trimHolds(aci, MAX_HOLDS)]
  }
}

const confirmed = (hash: Uint8Array, account: Account): Confirmed => ({
  kind: 'confirmed',
  hash,
  handle: account.usernameLinkHandle,
})

function verify(proof: Uint8Array, hash: Uint8Array): void {
  try {
    usernames.verifyProof(new Uint8Array(proof), new Uint8Array(hash))
  } catch {
    throw new Refusal('invalid', { field: 'zkProof', message: 'does not prove this hash' })
  }
}
