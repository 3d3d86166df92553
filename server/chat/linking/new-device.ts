// A device that wants to join an account: what it says of itself, and what has to be true of it.
import type { Capability, IdentityType } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Account, hasCapability, identityKeyOf } from '../accounts/account.ts'
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

type Keys = Readonly<Record<IdentityType, RepeatedUseKeys>>

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
  if (device.pniRegistrationId === undefined) invalid('pniRegistrationId', 'is needed')
  if (device.password.length === 0) throw new Refusal('invalid-credentials')
}

/** The keys of both identities: each there, and signed by the account's own (422). */
export function checkKeys(account: Account, { keys: { aci, pni } }: NewDevice): Keys {
  if (!pni.ec || !pni.kem) invalid('pniSignedPreKey', 'the keys of the phone number identity are needed')
  const keys = { aci, pni: { ec: pni.ec, kem: pni.kem } }
  for (const identity of ['aci', 'pni'] as const) {
    const identityKey = readIdentityKey('identityKey', identityKeyOf(account, identity))
    checkSignedEc(`${identity}SignedPreKey`, identityKey, keys[identity].ec)
    checkSignedKem(`${identity}PqLastResortPreKey`, identityKey, keys[identity].kem)
  }
  return keys
}

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
