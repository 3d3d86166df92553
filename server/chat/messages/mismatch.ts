// Every device of a recipient must be addressed as it is now, and no other.
import type { DeviceId, IdentityType, ServiceId } from '../../../wire/types.ts'
import { type Account, deviceOf, identityOf, registrationIdOf } from '../accounts/account.ts'

/** A device as a sender knows it. */
export type Addressed = { readonly deviceId: DeviceId; readonly registrationId: number }

export type Mismatch = {
  readonly missing: readonly DeviceId[]
  readonly extra: readonly DeviceId[]
  readonly stale: readonly DeviceId[]
}

/** What is wrong with the devices that were addressed, if anything. `sendingDevice` sends to its own account. */
export function mismatchOf(
  target: Account,
  destination: ServiceId,
  addressed: readonly Addressed[],
  sendingDevice?: DeviceId,
): Mismatch | undefined {
  const identity = identityOf(destination)
  if (matches(target, identity, addressed, sendingDevice)) return undefined
  const expected = target.devices.filter((device) => device.id !== sendingDevice)
  const missing = expected.filter((device) => !addressed.some((one) => one.deviceId === device.id))
  const known = (one: Addressed) => expected.find((device) => device.id === one.deviceId)
  const extra = addressed.filter((one) => !known(one))
  const stale = addressed.filter((one) => {
    const device = known(one)
    return device !== undefined && registrationIdOf(device, identity) !== one.registrationId
  })
  return {
    missing: missing.map((device) => device.id),
    extra: extra.map((one) => one.deviceId),
    stale: stale.map((one) => one.deviceId),
  }
}

/** The common case, without making lists. */
function matches(
  target: Account,
  identity: IdentityType,
  addressed: readonly Addressed[],
  sendingDevice: DeviceId | undefined,
): boolean {
  const expected = target.devices.length - (sendingDevice === undefined ? 0 : 1)
  if (addressed.length !== expected) return false
  return addressed.every((one) => {
    const device = one.deviceId === sendingDevice ? undefined : deviceOf(target, one.deviceId)
    return device !== undefined && registrationIdOf(device, identity) === one.registrationId
  })
}
