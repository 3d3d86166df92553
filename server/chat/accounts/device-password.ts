// How a device's password is kept and checked (signal-api §0.5).
import type { Random } from '../../kit/random.ts'
import type { Device } from './account.ts'
import { hashSecret, secretMatches } from './salted-hash.ts'

type Stored = Pick<Device, 'authSalt' | 'authHash'>

/** Before a hash: it matches nothing any more. */
const LOCK = '!'

/** What is stored of a new password. */
export function hashPassword(password: string, random: Random): Stored {
  const { salt, hash } = hashSecret(password, random)
  return { authSalt: salt, authHash: hash }
}

/** Takes the same time whatever is wrong. A hash that was locked matches nothing. */
export const passwordMatches = (device: Stored, password: string): boolean =>
  secretMatches({ salt: device.authSalt, hash: device.authHash }, password)

/** The device with a password that nobody can prove: only registering again helps. */
export const withLockedPassword = (device: Device): Device =>
  device.authHash.startsWith(LOCK) ? device : { ...device, authHash: LOCK + device.authHash }
