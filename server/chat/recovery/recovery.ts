// Registration recovery passwords: who knows a number's registers it again without a code (signal-api §2.2).

import type { DeviceAddress, E164 } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Random } from '../../kit/random.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts, Attributes } from '../accounts/accounts.ts'
import { hashSecret, secretMatches } from '../accounts/salted-hash.ts'
import { RecoveryStore } from './store.ts'

/** So long after it was set last a password opens nothing any more. */
export const EXPIRE_AFTER_MS = 300 * DAY_MS

export type RecoveryOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly clock: Clock
  readonly random: Random
}

export class Recovery {
  readonly #store: RecoveryStore
  readonly #accounts: Accounts
  readonly #clock: Clock
  readonly #random: Random

  constructor({ sql, accounts, clock, random }: RecoveryOptions) {
    this.#store = new RecoveryStore(sql)
    this.#accounts = accounts
    this.#clock = clock
    this.#random = random
  }

  async set(caller: DeviceAddress, password: Uint8Array): Promise<void> {
    await this.#accounts.updateBy(
      caller,
      (account) => ({ ...account }),
      (account) => [this.setting(account, password)],
    )
  }

  /** The statement that sets a number's password, or that of an account without one, which does not end. */
  setting({ aci, pni }: Holder, password: Uint8Array): Statement {
    const hash = hashSecret(textOf(password), this.#random)
    return pni
      ? this.#store.setting(pni, hash, this.#clock.nowMs() + EXPIRE_AFTER_MS)
      : this.#store.settingOwn(aci, hash)
  }

  /**
   * The statement that holds as long as this is the number's password, for the transaction that relies on it.
   * Nothing if it is not.
   */
  async proof(e164: E164, password: Uint8Array): Promise<Statement | undefined> {
    const pni = await this.#accounts.knownPniOf(e164)
    const stored = pni && (await this.#store.read(pni, this.#clock.nowMs()))
    return stored && secretMatches(stored, textOf(password)) ? this.#store.standing(pni, stored) : undefined
  }

  /** The same for an account that is named by its ACI, with a number or without. */
  async proofOf({ aci, pni }: Holder, password: Uint8Array): Promise<Statement | undefined> {
    const stored = pni ? await this.#store.read(pni, this.#clock.nowMs()) : await this.#store.readOwn(aci)
    if (!stored || !secretMatches(stored, textOf(password))) return undefined
    return pni ? this.#store.standing(pni, stored) : this.#store.standingOwn(aci, stored)
  }

  forgetting({ aci, pni }: Holder): Statement {
    return pni ? this.#store.forgetting(pni) : this.#store.forgettingOwn(aci)
  }

  /** Whoever proves a number by a code is not bound by what was set before. */
  async verified(e164: E164): Promise<Statement[]> {
    const pni = await this.#accounts.knownPniOf(e164)
    return pni ? [this.#store.forgetting(pni)] : []
  }

  expire(): Promise<void> {
    return this.#store.expire(this.#clock.nowMs())
  }

  deleted({ aci, pni }: Account): Statement[] {
    return [this.#store.forgettingOwn(aci), ...(pni ? [this.#store.forgetting(pni)] : [])]
  }

  renumbered(_: Account, before: Account): Statement[] {
    return [this.forgetting(before)]
  }

  described(account: Account, { recoveryPassword }: Attributes): Statement[] {
    return recoveryPassword ? [this.setting(account, recoveryPassword)] : []
  }
}

/** By what a password is kept. */
type Holder = Pick<Account, 'aci' | 'pni'>

const textOf = (password: Uint8Array): string => Buffer.from(password).toString('hex')
