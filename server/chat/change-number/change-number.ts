// Another number for an account, or new keys for the one it has: one write, or nothing (signal-api §2.6).
import {
  type DeviceAddress,
  type DeviceId,
  type E164,
  type Pni,
  PRIMARY_DEVICE,
} from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Limits } from '../../kit/limits.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import { type Account, type Device, type NumberedAccount, numbered } from '../accounts/account.ts'
import { type Accounts, allDevicesOf } from '../accounts/accounts.ts'
import { canonicalForm } from '../accounts/number-forms.ts'
import { readPhoneNumber } from '../accounts/phone-number.ts'
import type { Keys } from '../keys/keys.ts'
import type { SignedPreKey } from '../keys/pre-key.ts'
import { checkSignedEc, checkSignedKem, readIdentityKey } from '../keys/signatures.ts'
import type { AccountSync, Unfit } from '../messages/account-sync.ts'
import type { Copy } from '../messages/messages.ts'
import type { Evidence, NumberProof, Proof, ProvenBy } from '../recovery/number-proof.ts'
import type { Locked, RegistrationLock } from '../registration-lock/registration-lock.ts'

/** So long after it was registered an account keeps its number. */
export const WAITING_PERIOD_MS = 3_600_000
const MAX_RETRIES = 10

type ByDevice<T> = ReadonlyMap<DeviceId, T>

export type NumberChange = Evidence & {
  readonly number: string
  /** The token of the account that has the number now. */
  readonly registrationLock: string | undefined
  readonly pniIdentityKey: Uint8Array
  /** For the account's other devices; may be empty. */
  readonly copies: readonly Copy[]
  /** These three have to be there for every device. */
  readonly signedPreKeys: ByDevice<SignedPreKey>
  readonly lastResortKeys: ByDevice<SignedPreKey>
  readonly registrationIds: ByDevice<number>
}

export type Changed =
  | { readonly kind: 'changed'; readonly account: NumberedAccount }
  | { readonly kind: Exclude<Proof['kind'], 'proven'> }
  | Locked
  | Unfit

export type ChangeNumberOptions = {
  readonly accounts: Accounts
  readonly keys: Keys
  readonly sync: AccountSync
  readonly numberProof: NumberProof
  readonly lock: RegistrationLock
  readonly limits: Limits
  readonly clock: Clock
}

/** That the new number is the caller's, and whose it was. */
type Taken = {
  readonly kind: 'taken'
  readonly pni: Pni
  readonly holder: Account | undefined
  readonly by: ProvenBy | undefined
  readonly conditions: readonly Statement[]
}

export class ChangeNumber {
  readonly #options: ChangeNumberOptions

  constructor(options: ChangeNumberOptions) {
    this.#options = options
  }

  /** For the primary device (else 403) of an account with a number (else 400), an hour after the account was registered (else 429). */
  async change(caller: DeviceAddress, change: NumberChange): Promise<Changed> {
    if (caller.deviceId !== PRIMARY_DEVICE) throw new Refusal('forbidden')
    checkForm(change)
    const account = numbered((await this.#options.accounts.of(caller)).account)
    if (account.e164 !== change.number) await this.#admit(account, change.number as E164)
    return this.#decide(caller, change, account.devices[0]!.createdAtMs)
  }

  async #admit(account: Account, number: E164): Promise<void> {
    const { limits, clock } = this.#options
    if (readPhoneNumber(number).kind !== 'valid') invalid('number', 'must be a phone number in E.164')
    const waitMs = account.devices[0]!.createdAtMs + WAITING_PERIOD_MS - clock.nowMs()
    if (waitMs > 0) throw new Refusal('rate-limited', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
    await limits.take('registration', canonicalForm(number))
  }

  /** Decides on what is there, and decides anew if it was written meanwhile. */
  async #decide(caller: DeviceAddress, change: NumberChange, createdAtMs: number): Promise<Changed> {
    const { accounts, sync } = this.#options
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const { account: read, device } = await accounts.of(caller)
      if (device.createdAtMs !== createdAtMs) throw new Refusal('invalid-credentials')
      const account = numbered(read)
      const taken = await this.#take(account, change)
      if (taken.kind !== 'taken') return taken
      const unfit = sync.check(account, change.copies) ?? compareDevices(account, change)
      if (unfit) return unfit
      const changed = await this.#write(account, change, taken)
      if (changed) return { kind: 'changed', account: changed }
    }
    throw new Refusal('unavailable')
  }

  async #take(
    account: NumberedAccount,
    change: NumberChange,
  ): Promise<Taken | Exclude<Changed, { kind: 'changed' }>> {
    const { accounts, numberProof, lock } = this.#options
    const number = change.number as E164
    if (account.e164 === number)
      return { kind: 'taken', pni: account.pni, holder: undefined, by: undefined, conditions: [] }
    const proof = await numberProof.prove(number, change)
    if (proof.kind !== 'proven') return proof
    const pni = await accounts.pniOf(number)
    const holder = pni === account.pni ? undefined : await accounts.find(pni)
    if (holder && proof.by === 'invite') return { kind: 'unverified' }
    const locked = holder && (await lock.check(holder, change.registrationLock, proof.by))
    return locked ?? { kind: 'taken', pni, holder, by: proof.by, conditions: proof.statements }
  }

  /** What the account became; nothing if it, the holder or the proof was not as it was read. */
  async #write(before: NumberedAccount, change: NumberChange, { pni, holder, by, conditions }: Taken) {
    const { accounts, keys, sync } = this.#options
    const next: NumberedAccount = {
      ...before,
      pni,
      e164: change.number as E164,
      pniIdentityKey: change.pniIdentityKey,
      version: before.version + 1,
      devices: before.devices.map((device) => ({
        ...device,
        pniRegistrationId: change.registrationIds.get(device.id)!,
      })),
    }
    const isOther = pni !== before.pni
    const former = by === 'invite' ? undefined : await accounts.formerAci(pni)
    const displaced = isOther ? (holder?.aci ?? former) : undefined
    const messages = sync.prepare(next, change.copies, pni)
    const others = [...keys.forNewNumber(next.aci, keysOf(before.devices, change)), ...messages.statements]
    const done = isOther
      ? await accounts.renumber({ next, before, holder, displaced, conditions, others })
      : await accounts.put(next, [...conditions, ...others])
    if (done) messages.announce()
    return done ? next : undefined
  }
}

const keysOf = (devices: readonly Device[], { signedPreKeys, lastResortKeys }: NumberChange) =>
  new Map(devices.map(({ id }) => [id, { ec: signedPreKeys.get(id)!, kem: lastResortKeys.get(id)! }]))

/** Every map must name the account's devices, all of them and no other. */
function compareDevices(account: Account, change: NumberChange): Unfit | undefined {
  const devices = allDevicesOf(account)
  for (const named of [change.signedPreKeys, change.lastResortKeys, change.registrationIds]) {
    const missing = devices.filter((id) => !named.has(id))
    const extra = [...named.keys()].filter((id) => !devices.includes(id))
    if (missing.length + extra.length > 0) return { kind: 'mismatched', missing, extra, stale: [] }
  }
  return undefined
}

/** The proof is one, and every key is signed by the new identity (422). */
function checkForm(change: NumberChange): void {
  if ((change.sessionId === undefined) === (change.recoveryPassword === undefined))
    invalid('sessionId', 'exactly one of sessionId and recoveryPassword is needed')
  const identityKey = readIdentityKey('pniIdentityKey', change.pniIdentityKey)
  for (const key of change.signedPreKeys.values()) checkSignedEc('devicePniSignedPrekeys', identityKey, key)
  for (const key of change.lastResortKeys.values())
    checkSignedKem('devicePniPqLastResortPrekeys', identityKey, key)
}

function invalid(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}
