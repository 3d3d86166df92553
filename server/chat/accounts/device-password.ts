// How a device's password is kept and checked (signal-api §0.5).
import { hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Random } from '../../kit/random.ts'
import type { Device } from './account.ts'

const PREFIX = '2.'

const digest = (password: string, salt: string): string =>
  PREFIX + Buffer.from(hkdfSync('sha256', password, salt, 'authtoken', 32)).toString('hex')

/** What is stored of a new password. The password is long and random, so one HKDF does. */
export function hashPassword(password: string, random: Random): Pick<Device, 'authSalt' | 'authHash'> {
  const authSalt = random.bytes(16).toString('hex')
  return { authSalt, authHash: digest(password, authSalt) }
}

/** Takes the same time whatever is wrong. A hash that was locked (`!`) matches nothing. */
export function passwordMatches(device: Pick<Device, 'authSalt' | 'authHash'>, password: string): boolean {
  const expected = Buffer.from(device.authHash)
  const actual = Buffer.from(digest(password, device.authSalt))
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}
