// Accounts: who they are, who may speak for them, what they let others do.

import type { Credentials } from '../../../wire/route.ts'
import {
  type Aci,
  type Capability,
  compact,
  type DeviceAddress,
  type DeviceId,
  type E164,
  type IdentityType,
  type Pni,
  pniFromUuid,
  type ServiceId,
} from '../../../wire/types.ts'
import type { Bus } from '../../kit/bus.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS, startOfDay } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement, Written } from '../../kit/sql/sql.ts'
import {
  type Account,
  type Device,
  deviceOf,
  hasNumber,
  type NumberedAccount,
  numbered,
  type SaltedHash,
} from './account.ts'
import { AccountCache } from './account-cache.ts'
import { Authentication } from './authentication.ts'
import { type DataReport, dataReport } from './data-report.ts'
import { canonicalForm } from './number-forms.ts'
import { hashSecret } from './salted-hash.ts'
import { AccountStore, type Listing } from './store.ts'

const MAX_RETRIES = 10
/** For so long a deleted account's identity is kept for its number (signal-api §2.4). */
export const REMEMBER_DELETED_MS = 30 * DAY_MS

/**
 * What later capabilities keep of an account, and what becomes of it, in the transaction that changes the account.
 * `deleted`: all of it goes. `replaced`: registered anew, what belonged to the devices goes. `unlinked`: one device goes.
 */
export type Belongings = {
  readonly deleted?: (account: Account) => readonly Statement[]
  readonly replaced?: (account: Account) => readonly Statement[]
  readonly unlinked?: (account: Account, deviceId: DeviceId) => readonly Statement[]
  /** It has another number: what was kept by the old one's identity goes, or comes along. */
  readonly renumbered?: (account: Account, before: Account) => readonly Statement[]
  /** A device told its attributes. */
  readonly described?: (account: Account, attributes: Attributes) => readonly Statement[]
}
/** A change of number, decided on. */
export type Renumbering = {
  readonly next: NumberedAccount
  readonly before: NumberedAccount
  /** Whose the new number is now. */
  readonly holder: Account | undefined
  /** Who has the new number now, or had it last and was deleted lately. */
  readonly displaced: Aci | undefined
  /** Statements on which the change relies; they come first. */
  readonly conditions: readonly Statement[]
  readonly others: readonly Statement[]
}
/** What becomes of a call, and of the account; without a change nothing is written. */
export type Decision<Outcome> = {
  readonly outcome: Outcome
  readonly change?: { readonly account: Account; readonly others: readonly Statement[] }
}
/** Told after the commit: the devices must authenticate again. */
export type SendAway = (aci: Aci, devices: readonly DeviceId[]) => void

/** What a device says of itself and its account; absent means that it takes the default. */
export type Attributes = {
  readonly fetchesMessages: boolean
  readonly name: Uint8Array | undefined
  readonly capabilities: ReadonlySet<Capability>
  readonly userAgent: string | undefined
  readonly unidentifiedAccessKey: Uint8Array | undefined
  readonly unrestrictedUnidentifiedAccess: boolean
  readonly discoverableByPhoneNumber: boolean
  /** Absent clears the lock. */
  readonly registrationLock: string | undefined
  /** Absent leaves what was there. */
  readonly recoveryPassword: Uint8Array | undefined
}

export type AccountsOptions = {
  readonly sql: Sql
  readonly bus: Bus
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
}

export class Accounts {
  readonly #store: AccountStore
  readonly #cache: AccountCache
  readonly #authentication: Authentication
  readonly #sql: Sql
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: Limits
  readonly #belongings: Belongings[] = []
  readonly #sendAway: SendAway[] = []

  constructor(options: AccountsOptions) {
    this.#sql = options.sql
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.#store = new AccountStore(options.sql)
    this.#cache = new AccountCache(this.#store, options.bus)
    this.#authentication = new Authentication(this.#store, this.#cache, options.clock)
  }

  find(id: ServiceId): Promise<Account | undefined> {
    return this.#cache.get(id)
  }

  /** The account that has a number. */
  async findByNumber(e164: E164): Promise<Account | undefined> {
    const pni = await this.knownPniOf(e164)
    return pni && this.#cache.get(pni)
  }

  /** The account if it is in memory: spares the hot path a turn of the event loop. */
  peek(id: ServiceId): Account | undefined {
    return this.#cache.peek(id)
  }

  /** The account of a device that was authenticated; refuses if it was removed meanwhile. */
  async of(address: DeviceAddress): Promise<{ account: Account; device: Device }> {
    const account = this.#cache.peek(address.aci) ?? (await this.#cache.get(address.aci))
    const device = account && deviceOf(account, address.deviceId)
    if (!account || !device) throw new Refusal('invalid-credentials')
    return { account, device }
  }

  /** Checks Basic credentials `<aci>[.<device>]` and notes the day of the visit. */
  authenticate(credentials: Credentials): Promise<DeviceAddress | undefined> {
    return this.#authentication.check(credentials)
  }

  /** The same for an `Authorization` header that comes with every call of a connection. */
  authenticateOn(
    connection: object,
    authorization: string,
  ): Promise<DeviceAddress | undefined> | DeviceAddress | undefined {
    return this.#authentication.checkOn(connection, authorization)
  }

  /** The identity of a phone number, made when it is first asked for; the same however the number is written. */
  pniOf(e164: E164): Promise<Pni> {
    return this.#store.pniOf(canonicalForm(e164), pniFromUuid(this.#random.uuid()))
  }

  /** The identity of a phone number if it has one: asking makes none. */
  knownPniOf(e164: E164): Promise<Pni | undefined> {
    return this.#store.knownPniOf(canonicalForm(e164))
  }

  /**
   * Adds an account, or replaces the one it supersedes, together with `others` in one transaction.
   * False if somebody else wrote in between: read again and decide anew.
   */
  async put(account: Account, others: readonly Statement[]): Promise<boolean> {
    const own = account.version === 1 ? this.#store.creation(account) : this.#store.replacement(account)
    const written = await this.#sql.write([...own, ...others])
    // What did not hold any more is forgotten as well.
    this.#cache.changed(account)
    return written.ok
  }

  /**
   * Writes what an account became with another number, all or nothing. Whoever has the number now is deleted. The number
   * left behind remembers who had the new one last, should they change places.
   * False if somebody else wrote in between, or a condition does not hold: read again and decide anew.
   */
  async renumber({ next, before, holder, displaced, conditions, others }: Renumbering): Promise<boolean> {
    const written = await this.#sql.write([
      ...this.#store.replacement(next),
      ...conditions,
      ...(holder ? this.deleting(holder) : []),
      ...this.#store.handover(next.aci, before.pni, next.pni),
      this.#store.forgetting(next.pni),
      ...(displaced ? [this.#remembering(before.pni, displaced)] : []),
      ...this.#belongings.flatMap((one) => one.renumbered?.(next, before) ?? []),
      ...others,
    ])
    for (const account of holder ? [before, holder] : [before]) this.#cache.changed(account)
    if (written.ok && holder) this.sendAway(holder.aci, allDevicesOf(holder))
    return written.ok
  }

  /**
   * Unmet unless that device is still there, in the life that it was seen in: for what a device stores of its own, which
   * must not outlive it.
   */
  presence(aci: Aci, device: Device): Statement {
    return this.#store.presence(aci, device)
  }

  /** Unmet unless the account still has that identity key: for what is signed by it. */
  identityStanding(account: Account, identity: IdentityType): Statement {
    return this.#store.identityStanding(account, identity)
  }

  /** Registers what a later capability keeps of an account. */
  keeps(belongings: Belongings): void {
    this.#belongings.push(belongings)
  }

  /** Registers who sends devices away. */
  onSendAway(sendAway: SendAway): void {
    this.#sendAway.push(sendAway)
  }

  /**
   * Changes an account as it is now, with `others` in the same transaction, and gives what it became. `change` may be
   * called again, on what somebody else wrote meanwhile; it gives nothing to leave all as it is.
   * Refuses if the account is gone (401), or is written by too many at once (503).
   */
  async update(
    aci: Aci,
    change: (account: Account) => Account | undefined,
    others: (changed: Account, before: Account) => readonly Statement[] = () => [],
  ): Promise<Account> {
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const account = await this.#cache.get(aci)
      if (!account) throw new Refusal('invalid-credentials')
      const changed = change(account)
      if (!changed) return account
      const next = { ...changed, version: account.version + 1 }
      if (await this.put(next, others(next, account))) return next
    }
    throw new Refusal('unavailable')
  }

  /** `update` on behalf of one of its devices; refuses (401) if that was removed meanwhile, or replaced by another. */
  updateBy(
    address: DeviceAddress,
    change: (account: Account, device: Device) => Account | undefined,
    others: (changed: Account, before: Account) => readonly Statement[] = () => [],
  ): Promise<Account> {
    let createdAtMs: number | undefined
    const by = (account: Account) => {
      const device = deviceOf(account, address.deviceId)
      createdAtMs ??= device?.createdAtMs
      if (!device || device.createdAtMs !== createdAtMs) throw new Refusal('invalid-credentials')
      return change(account, device)
    }
    return this.update(address.aci, by, others)
  }

  /**
   * `updateBy` where more has to be read than the account: `decide` is asked again if its account, or a condition of its
   * statements, does not hold any more when they are written. What is read after the account and changes with it only
   * is as old or newer, never mixed up.
   */
  async decideBy<Outcome>(
    address: DeviceAddress,
    decide: (account: Account) => Promise<Decision<Outcome>>,
  ): Promise<Outcome> {
    let createdAtMs: number | undefined
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const { account, device } = await this.of(address)
      createdAtMs ??= device.createdAtMs
      if (device.createdAtMs !== createdAtMs) throw new Refusal('invalid-credentials')
      const { outcome, change } = await decide(account)
      if (!change) return outcome
      const next = { ...change.account, version: account.version + 1 }
      if (await this.put(next, change.others)) return outcome
    }
    throw new Refusal('unavailable')
  }

  /**
   * Writes what `decide` says of an account as it is now, and asks it again if the account changed meanwhile; an empty list
   * writes nothing. `unmet` counts in that list. Refuses if the device is gone (401), or too many write at once (503).
   */
  async writeBy(
    address: DeviceAddress,
    decide: (account: Account, device: Device) => readonly Statement[],
  ): Promise<Written> {
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const { account, device } = await this.of(address)
      const statements = decide(account, device)
      if (statements.length === 0) return { ok: true, outcomes: [] }
      const written = await this.#sql.write([this.#store.standing(account), ...statements])
      if (written.ok) return { ok: true, outcomes: written.outcomes.slice(1) }
      if (written.unmet > 0) return { ok: false, unmet: written.unmet - 1 }
      this.#cache.changed(account)
    }
    throw new Refusal('unavailable')
  }

  /** Takes a device away with all that is its own; its sockets close. Nothing happens if it is not there. */
  async unlink(aci: Aci, deviceId: DeviceId): Promise<void> {
    let gone = false
    const without = (account: Account) => {
      gone = deviceOf(account, deviceId) !== undefined
      if (!gone) return undefined
      return { ...account, devices: account.devices.filter(({ id }) => id !== deviceId) }
    }
    await this.update(aci, without, (_, before) => this.unlinking(before, deviceId))
    if (gone) this.sendAway(aci, [deviceId])
  }

  /** Removes an account and everything that is kept of it; its number remembers it for 30 days. */
  async delete(aci: Aci): Promise<void> {
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const account = await this.#cache.get(aci)
      if (!account || (await this.#remove(account))) return
    }
    throw new Refusal('unavailable')
  }

  /** `delete` on behalf of a device; refuses (401) if that was removed meanwhile, or replaced by another. */
  async deleteBy(address: DeviceAddress): Promise<void> {
    let createdAtMs: number | undefined
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const { account, device } = await this.of(address)
      createdAtMs ??= device.createdAtMs
      if (device.createdAtMs !== createdAtMs) throw new Refusal('invalid-credentials')
      if (await this.#remove(account)) return
    }
    throw new Refusal('unavailable')
  }

  async #remove(account: Account): Promise<boolean> {
    const written = await this.#sql.write(this.deleting(account))
    this.#cache.changed(account)
    if (written.ok) this.sendAway(account.aci, allDevicesOf(account))
    return written.ok
  }

  /** The statements of `delete`, for whoever deletes an account on the way to something else. */
  deleting(account: Account): Statement[] {
    return [
      ...this.#store.deletion(account),
      ...(account.pni ? [this.#remembering(account.pni, account.aci)] : []),
      ...this.#belongings.flatMap((one) => one.deleted?.(account) ?? []),
    ]
  }

  /** The statements that take from an account what does not outlive its being registered anew. */
  replacing(account: Account): Statement[] {
    return this.#belongings.flatMap((one) => one.replaced?.(account) ?? [])
  }

  /** The statements that take from a device what is its own. */
  unlinking(account: Account, deviceId: DeviceId): Statement[] {
    return this.#belongings.flatMap((one) => one.unlinked?.(account, deviceId) ?? [])
  }

  sendAway(aci: Aci, devices: readonly DeviceId[]): void {
    for (const tell of this.#sendAway) tell(aci, devices)
  }

  /** The identity that a number had before its account was deleted, if that is not long ago. */
  formerAci(pni: Pni): Promise<Aci | undefined> {
    return this.#store.deletedAci(pni, this.#clock.nowMs())
  }

  /** The statement by which a new account takes the identity of a deleted one; unmet if that was taken meanwhile. */
  reclaimingFormer(pni: Pni, aci: Aci): Statement {
    return this.#store.reclaiming(pni, aci)
  }

  /** Forgets deleted accounts whose time is over. */
  forgetExpired(): Promise<void> {
    return this.#store.forgetExpired(this.#clock.nowMs())
  }

  /** Refuses (422) an account that lets only some in, and has no key for them. */
  async setAttributes(address: DeviceAddress, attributes: Attributes): Promise<void> {
    if (!attributes.unrestrictedUnidentifiedAccess && attributes.unidentifiedAccessKey === undefined)
      throw new Refusal('invalid', { field: 'unidentifiedAccessKey', message: 'is needed' })
    const changed = (account: Account, device: Device) => ({
      ...account,
      ...accessOf(attributes),
      registrationLock: hasNumber(account) ? lockOf(attributes, this.#random) : undefined,
      devices: replaceDevice(account, {
        ...device,
        fetchesMessages: attributes.fetchesMessages,
        name: attributes.name ?? device.name,
        capabilities: attributes.capabilities,
        userAgent: attributes.userAgent ?? device.userAgent,
        lastSeenMs: startOfDay(this.#clock.nowMs()),
      }),
    })
    await this.updateBy(address, changed, (account) =>
      this.#belongings.flatMap((one) => one.described?.(account, attributes) ?? []),
    )
  }

  async setDiscoverableByPhoneNumber(address: DeviceAddress, discoverable: boolean): Promise<void> {
    await this.updateBy(address, (account) => ({
      ...numbered(account),
      discoverableByPhoneNumber: discoverable,
    }))
  }

  /** Only who has the key may reach the account unnamed; without a key everybody may. */
  async setUnidentifiedAccess(address: DeviceAddress, key: Uint8Array | undefined): Promise<void> {
    await this.updateBy(address, (account) => ({
      ...account,
      unidentifiedAccessKey: key && compact(key),
      unrestrictedUnidentifiedAccess: key === undefined,
    }))
  }

  async dataReport(address: DeviceAddress): Promise<DataReport> {
    const { account } = await this.of(address)
    return dataReport(account, this.#random.uuid(), this.#clock.nowMs())
  }

  async setCapabilities(address: DeviceAddress, capabilities: ReadonlySet<Capability>): Promise<void> {
    await this.updateBy(address, (account, device) => ({
      ...account,
      devices: replaceDevice(account, { ...device, capabilities }),
    }))
  }

  /** Refuses with 429 where one address asks for too many. */
  async exists(id: ServiceId, remoteAddress: string): Promise<boolean> {
    await this.#limits.take('checkAccountExistence', remoteAddress)
    return (await this.#cache.get(id)) !== undefined
  }

  #remembering(pni: Pni, aci: Aci): Statement {
    return this.#store.remembering(pni, aci, this.#clock.nowMs() + REMEMBER_DELETED_MS)
  }

  /** Whoever has one of these numbers, in their canonical form, and wants to be found by it. */
  listed(numbers: readonly E164[]): Promise<Listing[]> {
    return this.#store.listed(numbers)
  }
}

export const accessOf = (attributes: Attributes) => ({
  unidentifiedAccessKey: attributes.unidentifiedAccessKey,
  unrestrictedUnidentifiedAccess: attributes.unrestrictedUnidentifiedAccess,
  discoverableByPhoneNumber: attributes.discoverableByPhoneNumber,
})

/** What is stored of the lock that a device sets. */
export const lockOf = ({ registrationLock }: Attributes, random: Random): SaltedHash | undefined =>
  registrationLock === undefined ? undefined : hashSecret(registrationLock, random)

export const allDevicesOf = (account: Account): DeviceId[] => account.devices.map(({ id }) => id)

export const replaceDevice = (account: Account, device: Device): Device[] =>
  account.devices.map((other) => (other.id === device.id ? device : other))
