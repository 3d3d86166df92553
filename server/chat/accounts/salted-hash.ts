// How a secret is kept that a client sends to be compared later: a device's password, a lock, a recovery password.
import { hkdfSync } from 'node:crypto'
import { sameSecret } from '../../kit/constant-time.ts'
import type { Random } from '../../kit/random.ts'
import type { SaltedHash } from './account.ts'

const PREFIX = '2.'

const digest = (secret: string, salt: string): string =>
  PREFIX + Buffer.from(hkdfSync('sha256', secret, salt, 'authtoken', 32)).toString('hex')

/** What is stored of a new secret. Such secrets are long and random, so one HKDF does. */
export function hashSecret(secret: string, random: Random): SaltedHash {
  const salt = random.bytes(16).toString('hex')
  return { salt, hash: digest(secret, salt) }
}

/** Takes the same time whatever is wrong. */
export function secretMatches(stored: SaltedHash, secret: string): boolean {
  return sameSecret(stored.hash, digest(secret, stored.salt))
}
