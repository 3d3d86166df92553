// Who gets which value of a setting: by platform, by account, or by a share of all accounts (signal-api §2.21).
import { createHash } from 'node:crypto'
import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import { PLATFORMS, type Platform } from '../../kit/client-version.ts'

/** A plain text is everybody's. */
export type Rollout = {
  /** For those within; `true` if there is none. */
  readonly value?: string | undefined
  /** For the others; `false` if there is none. */
  readonly defaultValue?: string | undefined
  /** Everybody unless told. */
  readonly percentage?: number | undefined
  readonly platforms?: readonly Platform[] | undefined
  /** Accounts that are within, whatever the percentage. */
  readonly uuids?: readonly string[] | undefined
  /** Settings with the same key are given to the same accounts; the setting's own name unless told. */
  readonly hashKey?: string | undefined
}
export type Setting = string | Rollout

/** A name that begins with a platform is for that platform alone. */
export function isFor(name: string, setting: Setting, platform: Platform | undefined): boolean {
  const prefix = name.split('.', 1)[0]!
  if ((PLATFORMS as readonly string[]).includes(prefix) && prefix !== platform) return false
  if (typeof setting === 'string' || !setting.platforms) return true
  return platform !== undefined && setting.platforms.includes(platform)
}

/** The first eight bytes of SHA-256 over the account's id and the key, as a signed number without its sign. */
function bucketOf(aci: Aci, key: string): number {
  const digest = createHash('sha256').update(uuidToBytes(aci)).update(key).digest()
  const number = digest.readBigInt64BE(0)
  return Number((number < 0n ? -number : number) % 100n)
}

export function valueFor(name: string, setting: Setting, aci: Aci): string {
  if (typeof setting === 'string') return setting
  const { percentage = 100, uuids = [], hashKey = name, value = 'true', defaultValue = 'false' } = setting
  const within = uuids.includes(aci) || bucketOf(aci, hashKey) < percentage
  return within ? value : defaultValue
}
