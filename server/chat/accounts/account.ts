// What the server knows of an account. Values are immutable: a change makes a new account.

import type { Aci, Capability, DeviceId, E164, IdentityType, Pni, ServiceId } from '../../../wire/types.ts'
import { isPni, PRIMARY_DEVICE } from '../../../wire/types.ts'
import type { PushAddress, WebSubscription } from '../../kit/push-gateway.ts'
import { Refusal } from '../../kit/refusal.ts'

export type Device = {
  readonly id: DeviceId
  /** Tells this device from an earlier one with the same id. */
  readonly createdAtMs: number
  readonly authSalt: string
  readonly authHash: string
  readonly registrationId: number
  /** Only of an account with a number. */
  readonly pniRegistrationId: number | undefined
  /** Encrypted by the client. */
  readonly name: Uint8Array | undefined
  readonly capabilities: ReadonlySet<Capability>
  readonly fetchesMessages: boolean
  readonly apnToken: string | undefined
  readonly fcmToken: string | undefined
  /** A way to be woken that is neither Apple's nor Google's. */
  readonly webPush: WebSubscription | undefined
  /** When its way to be woken was set; absent if that was before it was kept. */
  readonly pushSetAtMs: number | undefined
  readonly userAgent: string | undefined
  /** The start of the day (UTC) on which it last authenticated. */
  readonly lastSeenMs: number
  /** `createdAtMs`, sealed to the account's identity key; absent on a device from before it was kept. */
  readonly createdAtCiphertext: Uint8Array | undefined
}

/** A secret of the user's that is stored as its salted hash only. */
export type SaltedHash = { readonly salt: string; readonly hash: string }

export type Account = {
  readonly aci: Aci
  /** Absent, with all that belongs to it, where an account has no phone number. */
  readonly pni: Pni | undefined
  readonly e164: E164 | undefined
  readonly aciIdentityKey: Uint8Array
  readonly pniIdentityKey: Uint8Array | undefined
  /** Only of an account without a number: what takes the PNI's place in its credentials. */
  readonly authCredentialSalt: Uint8Array | undefined
  readonly unidentifiedAccessKey: Uint8Array | undefined
  readonly unrestrictedUnidentifiedAccess: boolean
  readonly discoverableByPhoneNumber: boolean
  readonly createdAtMs: number
  readonly usernameHash: Uint8Array | undefined
  /** A UUID. */
  readonly usernameLinkHandle: string | undefined
  readonly registrationLock: SaltedHash | undefined
  /** Counts the writes of the account; a write names the version that it saw. */
  readonly version: number
  /** In the order of their ids; the primary device is first. */
  readonly devices: readonly Device[]
}

/** All that belongs to a number is there, or nothing of it. */
export type NumberedAccount = Account & {
  readonly pni: Pni
  readonly e164: E164
  readonly pniIdentityKey: Uint8Array
}

export const hasNumber = (account: Account): account is NumberedAccount => account.pni !== undefined

/** Refuses (400) an account without a number. */
export function numbered(account: Account): NumberedAccount {
  if (hasNumber(account)) return account
  throw new Refusal('bad-request', { message: 'account has no phone number' })
}

export const deviceOf = (account: Account, id: DeviceId): Device | undefined =>
  account.devices.find((device) => device.id === id)

/** Where a device can be woken; nothing if it fetches by itself. */
export function addressOf({ apnToken, fcmToken, webPush }: Device): PushAddress | undefined {
  if (apnToken !== undefined) return { service: 'apn', token: apnToken }
  if (fcmToken !== undefined) return { service: 'fcm', token: fcmToken }
  return webPush && { service: 'web', subscription: webPush }
}

/** True if every device has it, or the primary alone where that is what counts. */
export const hasCapability = (
  account: Account,
  capability: Capability,
  of: 'any' | 'primary' | 'all',
): boolean => {
  if (of === 'any') return account.devices.some((device) => device.capabilities.has(capability))
  if (of === 'all') return account.devices.every((device) => device.capabilities.has(capability))
  return deviceOf(account, PRIMARY_DEVICE)?.capabilities.has(capability) === true
}

/** Refuses (400) the identity of a number that is not there. */
export const identityKeyOf = (account: Account, identity: IdentityType): Uint8Array =>
  identity === 'aci' ? account.aciIdentityKey : numbered(account).pniIdentityKey

/** Of an account that has that identity. */
export const registrationIdOf = (device: Device, identity: IdentityType): number =>
  identity === 'aci' ? device.registrationId : device.pniRegistrationId!

export const identityOf = (id: ServiceId): IdentityType => (isPni(id) ? 'pni' : 'aci')
