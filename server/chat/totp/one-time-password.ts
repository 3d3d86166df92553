// Time-based one-time passwords (RFC 6238 over HMAC-SHA256, truncated as RFC 4226 §5.3 says).
import { createHmac } from 'node:crypto'
import { sameSecret } from '../../kit/constant-time.ts'

export const ALGORITHM = 'HmacSHA256'
export const SECRET_BYTES = 32
export const DIGITS = 6
export const STEP_S = 30
/** A password may be so old: who reads it off and types it takes a moment. */
const MAX_DELAY_MS = 15_000

export const stepAt = (ms: number): number => Math.floor(ms / (STEP_S * 1000))

/** The decimal digits of a step's password. */
export function passwordAt(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha256', secret).update(counter).digest()
  const offset = mac[mac.length - 1]! & 0x0f
  const number = mac.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** DIGITS).padStart(DIGITS, '0')
}

/** The step, this one or the one before if that is just over, that a password belongs to; `number` has lost its zeros. */
export function matchingStep(secret: Uint8Array, number: number, nowMs: number): number | undefined {
  const given = Buffer.from(String(number).padStart(DIGITS, '0'))
  const steps = [...new Set([stepAt(nowMs), stepAt(nowMs - MAX_DELAY_MS)])]
  const matching = steps.filter((step) => {
    const password = Buffer.from(passwordAt(secret, step))
    return sameSecret(password, given)
  })
  return matching[0]
}
