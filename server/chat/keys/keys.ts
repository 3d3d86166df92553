// Pre-keys: stored by a device, handed out to whoever wants to open a session with it.
import { createHash } from 'node:crypto'
import { MAX_ONE_TIME_KEYS } from '../../../wire/limits.ts'
import type { Access } from '../../../wire/route.ts'
import {
  type Aci,
  type DeviceAddress,
  type DeviceId,
  type IdentityType,
  type ServiceId,
  uuidOf,
} from '../../../wire/types.ts'
import { sameSecret } from '../../kit/constant-time.ts'
import type { Limits } from '../../kit/limits.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import {
  type Account,
  type Device,
  identityKeyOf,
  identityOf,
  registrationIdOf,
} from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Admitted, UnidentifiedAccess } from '../accounts/unidentified-access.ts'
import type { EcPreKey, SignedPreKey } from './pre-key.ts'
import { checkEc, checkKemList, checkSignedEc, checkSignedKem, readIdentityKey } from './signatures.ts'
import { KeyStore, type RepeatedUseKeys } from './store.ts'

export type KeyUpload = {
  readonly ec?: readonly EcPreKey[] | undefined
  readonly kem?: readonly SignedPreKey[] | undefined
  readonly signedEc?: SignedPreKey | undefined
  readonly lastResortKem?: SignedPreKey | undefined
}

export type DeviceBundle = {
  readonly deviceId: DeviceId
  readonly registrationId: number
  readonly signedEc: SignedPreKey
  readonly ec: EcPreKey | undefined
  readonly kem: SignedPreKey
}
/** A device without a signed or a Kyber key is not among them; `not-found` if no device is. */
export type Taken =
  | {
      readonly kind: 'taken'
      readonly account: Account
      readonly identityKey: Uint8Array
      readonly devices: readonly DeviceBundle[]
    }
  | { readonly kind: 'refused' | 'not-found' }

/** Of a new device; those of a number where its account has one. */
export type DeviceKeys = { readonly aci: RepeatedUseKeys; readonly pni: RepeatedUseKeys | undefined }

export type KeysOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly access: UnidentifiedAccess
  readonly limits: Limits
}

export class Keys {
  readonly #store: KeyStore
  readonly #accounts: Accounts
  readonly #access: UnidentifiedAccess
  readonly #limits: Limits

  constructor(options: KeysOptions) {
    this.#store = new KeyStore(options.sql)
    this.#accounts = options.accounts
    this.#access = options.access
    this.#limits = options.limits
  }

  count(caller: DeviceAddress, identity: IdentityType): Promise<{ ec: number; kem: number }> {
    return this.#store.count({ ...caller, identity })
  }

  /** All or nothing: one bad key refuses the upload (422). A non-empty list replaces what was there. */
  async store(caller: DeviceAddress, identity: IdentityType, upload: KeyUpload): Promise<void> {
    const { account, device } = await this.#accounts.of(caller)
    const { ec = [], kem = [], signedEc, lastResortKem } = upload
    if (Math.max(ec.length, kem.length) > MAX_ONE_TIME_KEYS)
      throw new Refusal('invalid', { field: 'preKeys', message: 'too many' })
    const identityKey = readIdentityKey('identityKey', identityKeyOf(account, identity))
    checkEc('preKeys', ec)
    if (signedEc) checkSignedEc('signedPreKey', identityKey, signedEc)
    if (lastResortKem) checkSignedKem('pqLastResortPreKey', identityKey, lastResortKem)
    await checkKemList('pqPreKeys', identityKey, kem)
    const owner = { ...caller, identity }
    const statements = [
      ...(ec.length > 0 ? this.#store.replaceEc(owner, ec) : []),
      ...(kem.length > 0 ? this.#store.replaceKem(owner, kem) : []),
      ...(signedEc ? [this.#store.storeSigned(owner, signedEc)] : []),
      ...(lastResortKem ? [this.#store.storeLastResort(owner, lastResortKem)] : []),
    ]
    if (statements.length === 0) return
    // A device that is removed meanwhile must leave no keys behind: they would be handed out as its successor's.
    const conditions = [
      this.#accounts.presence(caller.aci, device),
      this.#accounts.identityStanding(account, identity),
    ]
    if (!(await this.#store.write([...conditions, ...statements])))
      throw await this.#overtaken(caller, device)
  }

  /** Why the conditions of `store` were unmet: the device is gone, or its account has another number now. */
  async #overtaken(caller: DeviceAddress, device: Device): Promise<Refusal> {
    const now = await this.#accounts.of(caller)
    if (now.device.createdAtMs !== device.createdAtMs) return new Refusal('invalid-credentials')
    return new Refusal('invalid', { field: 'identityKey', message: 'was replaced meanwhile' })
  }

  /** Whether the device's repeated-use keys are the ones that the digest was made of (signal-api §2.10). */
  async check(caller: DeviceAddress, identity: IdentityType, digest: Uint8Array): Promise<boolean> {
    const { account } = await this.#accounts.of(caller)
    const keys = await this.#store.repeatedUse({ ...caller, identity })
    return keys !== undefined && sameSecret(digestOf(identityKeyOf(account, identity), keys), digest)
  }

  /** Takes a bundle for one device, or for all. */
  async take(access: Access, target: ServiceId, deviceId: DeviceId | undefined): Promise<Taken> {
    const reached = await this.#reach(access, target, deviceId)
    if (reached.kind !== 'admitted') return reached
    const account = reached.target
    const wanted = account.devices.filter((device) => deviceId === undefined || device.id === deviceId)
    const identity = identityOf(target)
    const devices = await this.#bundles(account.aci, identity, wanted)
    if (devices.length === 0) return { kind: 'not-found' }
    return { kind: 'taken', account, identityKey: identityKeyOf(account, identity), devices }
  }

  /** What registration stores with a new account. */
  forNewDevice(aci: Aci, deviceId: DeviceId, keys: DeviceKeys): Statement[] {
    const store = (identity: IdentityType, own: RepeatedUseKeys) =>
      this.#store.storeRepeatedUse({ aci, identity, deviceId }, own)
    return [store('aci', keys.aci), ...(keys.pni ? [store('pni', keys.pni)] : [])]
  }

  /** New repeated-use keys for the phone number identity of every device; what was there for once is gone. */
  forNewNumber(aci: Aci, keys: ReadonlyMap<DeviceId, RepeatedUseKeys>): Statement[] {
    return [
      ...this.#store.clearOneTime(aci, 'pni'),
      ...Array.from(keys, ([deviceId, own]) =>
        this.#store.storeRepeatedUse({ aci, identity: 'pni', deviceId }, own),
      ),
    ]
  }

  deleted({ aci }: Account): Statement[] {
    return this.#store.clear(aci)
  }

  replaced({ aci }: Account): Statement[] {
    return this.#store.clear(aci)
  }

  unlinked({ aci }: Account, deviceId: DeviceId): Statement[] {
    return this.#store.clearDevice(aci, deviceId)
  }

  async #reach(access: Access, target: ServiceId, deviceId: DeviceId | undefined): Promise<Admitted> {
    const account = await this.#accounts.find(target)
    if (access.kind !== 'device') return this.#access.admit(access, target, account)
    await this.#limits.take('prekeys', limiterKey(access.device, target, account, deviceId))
    return account ? { kind: 'admitted', target: account } : { kind: 'not-found' }
  }

  async #bundles(aci: Aci, identity: IdentityType, wanted: readonly Device[]): Promise<DeviceBundle[]> {
    const ownerOf = (device: Device) => ({ aci, identity, deviceId: device.id })
    const repeated = await Promise.all(wanted.map((device) => this.#store.repeatedUse(ownerOf(device))))
    const ready = wanted.flatMap((device, index) => {
      const keys = repeated[index]
      return keys ? [{ device, keys }] : []
    })
    const oneTime = ready.length > 0 ? await this.#store.take(ready.map(({ device }) => ownerOf(device))) : []
    return ready.map(({ device, keys }, index) => ({
      deviceId: device.id,
      registrationId: registrationIdOf(device, identity),
      signedEc: keys.ec,
      ec: oneTime[index]?.ec,
      kem: oneTime[index]?.kem ?? keys.kem,
    }))
  }
}

/** `aci.device__targetUuid.device.registrationId`, with `*` for all devices (signal-api §2.10). */
function limiterKey(
  caller: DeviceAddress,
  target: ServiceId,
  account: Account | undefined,
  deviceId: DeviceId | undefined,
): string {
  const device = account?.devices.find((one) => one.id === deviceId)
  const registrationId = device ? registrationIdOf(device, identityOf(target)) : '*'
  return `${caller.aci}.${caller.deviceId}__${uuidOf(target)}.${deviceId ?? '*'}.${registrationId}`
}

function digestOf(identityKey: Uint8Array, keys: RepeatedUseKeys): Buffer {
  const id = Buffer.alloc(8)
  const hash = createHash('sha256').update(identityKey)
  for (const key of [keys.ec, keys.kem]) {
    id.writeBigInt64BE(BigInt(key.keyId))
    hash.update(id).update(key.publicKey)
  }
  return hash.digest()
}
