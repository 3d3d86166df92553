// One-time passwords as a second proof: an account that has a key for them is not registered again without one.

import type { Aci, DeviceAddress } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import { matchingStep, SECRET_BYTES } from './one-time-password.ts'
import { type PendingKey, type TotpKey, TotpStore } from './store.ts'

export const MAX_KEYS = 2
/** Clients know ids up to here. */
const MAX_KEY_ID = 127
export const CONFIRM_WITHIN_MS = DAY_MS

/** Statements for the transaction that relies on the password: they are unmet if it was used meanwhile. */
export type Checked =
  | { readonly kind: 'passed'; readonly statements: readonly Statement[] }
  | { readonly kind: 'refused' }

export type TotpOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
}

/** What comes of a look at the keys: a result, with what is to be written for it. */
type Decided<T> = { readonly result: T; readonly statements?: readonly Statement[] }

export class Totp {
  readonly #store: TotpStore
  readonly #accounts: Accounts
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #random: Random

  constructor({ sql, accounts, limits, clock, random }: TotpOptions) {
    this.#store = new TotpStore(sql)
    this.#accounts = accounts
    this.#limits = limits
    this.#clock = clock
    this.#random = random
  }

  /** A new secret, which counts once it is confirmed; nothing if the account has as many as it may. */
  generate(caller: DeviceAddress): Promise<Uint8Array | undefined> {
    const secret = this.#random.bytes(SECRET_BYTES)
    return this.#decide(caller, (keys) => {
      if (keys.length >= MAX_KEYS) return { result: undefined }
      const pending = { secret, createdAtMs: this.#clock.nowMs() }
      return { result: secret, statements: [this.#store.setPending(caller.aci, pending)] }
    })
  }

  /** The id of the key that the password confirms, also if it is confirmed again; nothing if it confirms none. */
  async confirm(caller: DeviceAddress, password: number, metadata: Uint8Array): Promise<number | undefined> {
    await this.#limits.take('checkTotp', caller.aci)
    return this.#decide(caller, (keys, pending) => {
      const step = pending && matchingStep(pending.secret, password, this.#clock.nowMs())
      if (step === undefined || keys.length >= MAX_KEYS) return { result: this.#confirmed(keys, password) }
      const id = nextId(keys)
      const key = { id, secret: pending!.secret, metadata, lastStep: step }
      return {
        result: id,
        statements: [this.#store.clearPending(caller.aci), this.#store.add(caller.aci, key)],
      }
    })
  }

  list(caller: DeviceAddress): Promise<TotpKey[]> {
    return this.#store.keys(caller.aci)
  }

  /** False if there is no such key. */
  describe(caller: DeviceAddress, id: number, metadata: Uint8Array): Promise<boolean> {
    return this.#decide(caller, (keys) => {
      if (!keys.some((key) => key.id === id)) return { result: false }
      return { result: true, statements: [this.#store.describe(caller.aci, id, metadata)] }
    })
  }

  async remove(caller: DeviceAddress, id: number): Promise<void> {
    await this.#decide(caller, () => ({
      result: undefined,
      statements: [this.#store.remove(caller.aci, id)],
    }))
  }

  /** Whether a password is right now, which it is once. Refuses with 429 where too many were tried. */
  async verify(caller: DeviceAddress, password: number): Promise<boolean> {
    const checked = await this.check(caller.aci, password)
    return checked.kind === 'passed' && (await this.#store.write(checked.statements))
  }

  /** An account without a key wants no password: to give one is wrong, too. */
  async check(aci: Aci, password: number | undefined): Promise<Checked> {
    const keys = await this.#store.keys(aci)
    if (keys.length === 0 && password === undefined) return { kind: 'passed', statements: [] }
    if (keys.length === 0 || password === undefined) return { kind: 'refused' }
    await this.#limits.take('checkTotp', aci)
    for (const key of keys) {
      const step = matchingStep(key.secret, password, this.#clock.nowMs())
      if (step !== undefined && step > key.lastStep)
        return { kind: 'passed', statements: [this.#store.accept(aci, key.id, step)] }
    }
    return { kind: 'refused' }
  }

  deleted({ aci }: Account): Statement[] {
    return this.#store.clear(aci)
  }

  /** Who registers again has shown a password: the keys stay. */
  replaced({ aci }: Account): Statement[] {
    return [this.#store.clearPending(aci)]
  }

  /** A client that lost the answer asks again: the newest key, and the password that confirmed it. */
  #confirmed(keys: readonly TotpKey[], password: number): number | undefined {
    const newest = keys.at(-1)
    const step = newest && matchingStep(newest.secret, password, this.#clock.nowMs())
    return step === newest?.lastStep ? newest?.id : undefined
  }

  #decide<T>(
    caller: DeviceAddress,
    decide: (keys: readonly TotpKey[], pending: PendingKey | undefined) => Decided<T>,
  ): Promise<T> {
    return this.#accounts.decideBy(caller, async (account) => {
      const [keys, pending] = await Promise.all([this.#store.keys(caller.aci), this.#pending(caller.aci)])
      const { result: outcome, statements } = decide(keys, pending)
      return statements ? { outcome, change: { account, others: statements } } : { outcome }
    })
  }

  async #pending(aci: Aci): Promise<PendingKey | undefined> {
    const pending = await this.#store.pending(aci)
    const since = this.#clock.nowMs() - CONFIRM_WITHIN_MS
    return pending && pending.createdAtMs > since ? pending : undefined
  }
}

/** Above all others, so that an id means one key for long; from the start again after the last. */
function nextId(keys: readonly TotpKey[]): number {
  const used = keys.map(({ id }) => id)
  const above = Math.max(-1, ...used) + 1
  if (above <= MAX_KEY_ID) return above
  return [0, 1, 2].find((id) => !used.includes(id))!
}
