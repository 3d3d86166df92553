import { timingSafeEqual } from 'node:crypto'

type Secret = Uint8Array | string

const bytesOf = (secret: Secret): Uint8Array => (typeof secret === 'string' ? Buffer.from(secret) : secret)

/** Whether two secrets are the same. How long it takes tells at most whether their lengths are. */
export function sameSecret(one: Secret, other: Secret): boolean {
  const [a, b] = [bytesOf(one), bytesOf(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
