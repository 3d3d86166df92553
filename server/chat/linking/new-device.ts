// A device that wants to join an account: what it says of itself, and what has to be true of it.
import type { Capability, IdentityType } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Account, hasCapability, hasNumber, identityKeyOf } from '../accounts/account.ts'
import type { DeviceKeys } from '../keys/keys.ts'
import { checkSignedEc, checkSignedKem, readIdentityKey } from '../keys/signatures.ts'
import type { RepeatedUseKeys } from '../keys/store.ts'

export type NewDevice = {
  readonly password: string
  /** Encrypted by the client. */
  readonly name: Uint8Array | undefined
  readonly registrationId: number
  readonly pniRegistrationId: number | undefined
  readonly capabilities: ReadonlySet<Capability> | undefined
  readonly fetchesMessages: boolean
  readonly apnToken: string | undefined
  readonly fcmToken: string | undefined
  readonly keys: {
    readonly aci: RepeatedUseKeys
    readonly pni: { readonly [K in keyof RepeatedUseKeys]: RepeatedUseKeys[K] | undefined }
  }
}

/** What every new device has to be capable of, and what none may take from its account (signal-api §2.8). */
const REQUIRED: readonly Capability[] = ['spqr']
const NOT_TO_BE_LOST: readonly Capability[] = ['spqr', 'usernameChangeSyncMessage']

function invalid(field: string, message: string): never {
  throw new Refusal('invalid', { field, message })
}

/** What holds between the fields, whoever's device it is (422); a device without a password is nobody (401). */
export function checkForm(device: NewDevice): void {
  const channels = [device.fetchesMessages, device.apnToken !== undefined, device.fcmToken !== undefined]
  if (channels.filter(Boolean).length !== 1)
    invalid('fetchesMessages', 'exactly one delivery channel is needed')
  if (device.password.length === 0) throw new Refusal('invalid-credentials')
}

/** The keys of the account's identities: each there, signed by the account's own, and no others (422). */
export function checkKeys(account: Account, device: NewDevice): DeviceKeys {
  const { aci } = device.keys
  const pni = hasNumber(account) ? pniKeysOf(device) : noPniKeys(device)
  checkSigned(account, 'aci', aci)
  if (pni) checkSigned(account, 'pni', pni)
  return { aci, pni }
}

function pniKeysOf({ keys: { pni }, pniRegistrationId }: NewDevice): RepeatedUseKeys {
  if (pniRegistrationId === undefined) invalid('pniRegistrationId', 'is needed')
  if (!pni.ec || !pni.kem) invalid('pniSignedPreKey', 'the keys of the phone number identity are needed')
  return { ec: pni.ec, kem: pni.kem }
}

function noPniKeys({ keys: { pni } }: NewDevice): undefined {
  if (pni.ec || pni.kem) invalid('pniSignedPreKey', 'the account has no phone number identity')
}

function checkSigned(account: Account, identity: IdentityType, keys: RepeatedUseKeys): void {
  const identityKey = readIdentityKey('identityKey', identityKeyOf(account, identity))
  checkSignedEc(`${identity}SignedPreKey`, identityKey, keys.ec)
  checkSignedKem(`${identity}PqLastResortPreKey`, identityKey, keys.kem)
}

/** True if the device does not know that accounts may have no number, and this one has none. */
export const missesNumber = (account: Account, { capabilities }: NewDevice): boolean =>
  !hasNumber(account) && capabilities?.has('optionalPhoneNumber') !== true

/** True if the device would take from the account what all its devices can do. Saying nothing is 422. */
export function isDowngrade(account: Account, { capabilities }: NewDevice): boolean {
  if (!capabilities) return invalid('capabilities', 'are needed')
  const needed = [...REQUIRED, ...NOT_TO_BE_LOST.filter((name) => hasCapability(account, name, 'all'))]
  return !needed.every((name) => capabilities.has(name))
}

/** How the device is taken to be woken: iPad, Android, or a desktop that fetches by itself. */
export function agentOf({ apnToken, fcmToken }: NewDevice): string {
  if (apnToken !== undefined) return 'OWP'
  return fcmToken === undefined ? 'OWD' : 'OWA'
}
