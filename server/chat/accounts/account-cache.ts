// Accounts in memory: every message looks one up. What is written is told here, and to the other processes.
import { type Aci, isPni, type Pni, type ServiceId } from '../../../wire/types.ts'
import type { Bus } from '../../kit/bus.ts'
import type { Account } from './account.ts'
import type { AccountStore } from './store.ts'

const CHANNEL = 'accounts'
/** About 1 KiB each. */
const MAX_CACHED = 50_000

export class AccountCache {
  readonly #store: AccountStore
  readonly #bus: Bus
  readonly #accounts = new Map<Aci, Account>()
  readonly #acis = new Map<Pni, Aci>()
  /** Reads under way: two messages of one sender must not be given their recipient in the wrong order. */
  readonly #reading = new Map<Aci, Promise<Account | undefined>>()
  readonly #resolving = new Map<Pni, Promise<Aci | undefined>>()
  /** Rises when something was forgotten; a read that began before is not kept. */
  #generation = 0

  constructor(store: AccountStore, bus: Bus) {
    this.#store = store
    this.#bus = bus
    bus.subscribe(CHANNEL, (event) => this.#forget(event.type as Aci))
  }

  async get(id: ServiceId): Promise<Account | undefined> {
    if (!isPni(id)) return this.#accounts.get(id) ?? this.#load(id)
    return (await this.#holder(id, this.#acis.get(id))) ?? this.#holder(id, await this.#aciOf(id))
  }

  /** The account, if it has the number's identity: who had it last may have another by now, or be gone. */
  async #holder(pni: Pni, aci: Aci | undefined): Promise<Account | undefined> {
    if (aci === undefined) return undefined
    const account = this.#accounts.get(aci) ?? (await this.#load(aci))
    return account?.pni === pni ? account : undefined
  }

  /** The account, if it is here already: the hot path asks this first. */
  peek(id: ServiceId): Account | undefined {
    return isPni(id) ? undefined : this.#accounts.get(id)
  }

  /** Call it after a write of the account has committed. */
  changed(account: Account): void {
    this.#bus.publish(CHANNEL, { type: account.aci })
  }

  #aciOf(pni: Pni): Promise<Aci | undefined> {
    return shared(this.#resolving, pni, () => this.#resolve(pni))
  }

  async #resolve(pni: Pni): Promise<Aci | undefined> {
    const generation = this.#generation
    const aci = await this.#store.aciOf(pni)
    if (aci !== undefined && generation === this.#generation) keep(this.#acis, pni, aci)
    return aci
  }

  #load(aci: Aci): Promise<Account | undefined> {
    return shared(this.#reading, aci, () => this.#read(aci))
  }

  async #read(aci: Aci): Promise<Account | undefined> {
    const generation = this.#generation
    const account = await this.#store.read(aci)
    if (account && generation === this.#generation) keep(this.#accounts, aci, account)
    return account
  }

  #forget(aci: Aci): void {
    this.#generation++
    this.#reading.delete(aci)
    this.#resolving.clear()
    const account = this.#accounts.get(aci)
    if (account?.pni) this.#acis.delete(account.pni)
    this.#accounts.delete(aci)
  }
}

/** One read at a time of each key: whoever asks meanwhile gets the same, and all go on in the order of asking. */
function shared<K, V>(under: Map<K, Promise<V>>, key: K, read: () => Promise<V>): Promise<V> {
  const known = under.get(key)
  if (known) return known
  const reading = read().finally(() => {
    if (under.get(key) === reading) under.delete(key)
  })
  under.set(key, reading)
  return reading
}

/** Keeps an entry; the oldest makes room. */
function keep<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.set(key, value)
  if (map.size <= MAX_CACHED) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
