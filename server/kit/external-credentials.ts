// Credentials by which one service sends a user to another that shares a secret with it, in Signal's format:
// a password `[<username>:]<seconds since 1970>:<the first 10 bytes of HMAC-SHA256(secret, "<username>:<seconds>"), in hex>`.
import { createHmac } from 'node:crypto'
import type { Clock } from './clock.ts'
import { sameSecret } from './constant-time.ts'
import type { ExternalService, Secrets } from './secrets.ts'

/** As Basic authentication wants them. The password must stay secret. */
export type ExternalCredentials = { readonly username: string; readonly password: string }

const SIGNATURE_BYTES = 10
const PASSWORD = /^(?:([^:]+):)?(\d{1,12}):([0-9a-f]{20})$/

const hexHmac = (key: Uint8Array, text: string, bytes: number): string =>
  createHmac('sha256', key).update(text).digest().toString('hex', 0, bytes)

export type ExternalCredentialsOptions = {
  readonly clock: Clock
  /** Signs. Whoever knows it can be anybody. */
  readonly secret: Uint8Array
  /**
   * Makes the username a pseudonym: the first `bytes` of HMAC-SHA256(key, identity), in hex. Without it the username
   * is the identity itself, and stands in the password too.
   */
  readonly pseudonym?: { readonly key: Uint8Array; readonly bytes: number }
}

export class ExternalServiceCredentials {
  readonly #options: ExternalCredentialsOptions

  constructor(options: ExternalCredentialsOptions) {
    this.#options = options
  }

  usernameOf(identity: string): string {
    const { pseudonym } = this.#options
    return pseudonym ? hexHmac(pseudonym.key, identity, pseudonym.bytes) : identity
  }

  issue(identity: string): ExternalCredentials {
    const { secret, pseudonym, clock } = this.#options
    const username = this.usernameOf(identity)
    const seconds = String(Math.floor(clock.nowMs() / 1000))
    const signed = `${username}:${seconds}`
    const signature = hexHmac(secret, signed, SIGNATURE_BYTES)
    return { username, password: `${pseudonym ? seconds : signed}:${signature}` }
  }

  /** When they were issued, in milliseconds since 1970; nothing if not by us. In constant time. */
  issuedAtMs({ username, password }: ExternalCredentials): number | undefined {
    const { secret, pseudonym } = this.#options
    const [, named, seconds, signature] = PASSWORD.exec(password) ?? []
    if (seconds === undefined || named !== (pseudonym ? undefined : username)) return undefined
    const expected = hexHmac(secret, `${username}:${seconds}`, SIGNATURE_BYTES)
    const isOurs = sameSecret(expected, signature!)
    return isOurs ? Number(seconds) * 1000 : undefined
  }

  /** Whether they are ours, and at most so old. */
  verify(credentials: ExternalCredentials, maxAgeMs: number): boolean {
    const issuedAtMs = this.issuedAtMs(credentials)
    return issuedAtMs !== undefined && this.#options.clock.nowMs() - issuedAtMs <= maxAgeMs
  }
}

export type ExternalServices = Readonly<Record<ExternalService, ExternalServiceCredentials>>

const DIRECTORY_NAME_BYTES = 10
const RECOVERY_NAME_BYTES = 16

/** Each service as Signal's clients and servers know it. The identity is an ACI; for `svrb`, the backup id's hash in hex. */
export function externalServices(secrets: Pick<Secrets, 'externalServices'>, clock: Clock): ExternalServices {
  const open = (name: ExternalService, pseudonymBytes?: number) => {
    const { secret, userIdKey } = secrets.externalServices[name]
    const pseudonym = pseudonymBytes && { pseudonym: { key: userIdKey, bytes: pseudonymBytes } }
    return new ExternalServiceCredentials({ clock, secret, ...pseudonym })
  }
  return {
    storage: open('storage'),
    directory: open('directory', DIRECTORY_NAME_BYTES),
    svr2: open('svr2', RECOVERY_NAME_BYTES),
    svrb: open('svrb', RECOVERY_NAME_BYTES),
  }
}
