// Who speaks: a device proves by its password that it is one.

import type { Credentials } from '../../../wire/route.ts'
import { type DeviceAddress, type DeviceId, PRIMARY_DEVICE, parseAci } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { startOfDay } from '../../kit/days.ts'
import { parseBasic } from '../../kit/router.ts'
import { type Account, type Device, deviceOf } from './account.ts'
import type { AccountCache } from './account-cache.ts'
import { passwordMatches } from './device-password.ts'
import type { AccountStore } from './store.ts'

/** What a connection proved last. */
type Proven = { readonly authorization: string; readonly address: DeviceAddress; readonly authHash: string }

export class Authentication {
  readonly #store: AccountStore
  readonly #cache: AccountCache
  readonly #clock: Clock
  readonly #proven = new WeakMap<object, Proven>()

  constructor(store: AccountStore, cache: AccountCache, clock: Clock) {
    this.#store = store
    this.#cache = cache
    this.#clock = clock
  }

  /** Checks Basic credentials `<aci>[.<device>]` and notes the day of the visit. */
  async check(credentials: Credentials): Promise<DeviceAddress | undefined> {
    return (await this.#check(credentials))?.address
  }

  /**
   * The same for an `Authorization` header that comes with every call of a connection. What was proven on a connection
   * is not computed again, as long as the device has the same password and has been here today.
   */
  checkOn(
    connection: object,
    authorization: string,
  ): Promise<DeviceAddress | undefined> | DeviceAddress | undefined {
    const proven = this.#proven.get(connection)
    const account = proven?.authorization === authorization ? this.#cache.peek(proven.address.aci) : undefined
    const device = account && deviceOf(account, proven!.address.deviceId)
    if (device && device.authHash === proven!.authHash && !this.#isVisitDue(account, device))
      return proven!.address
    return this.#prove(connection, authorization)
  }

  async #prove(connection: object, authorization: string): Promise<DeviceAddress | undefined> {
    const credentials = parseBasic(authorization)
    const checked = credentials && (await this.#check(credentials))
    if (!checked) return undefined
    const { address, device } = checked
    this.#proven.set(connection, { authorization, address, authHash: device.authHash })
    return address
  }

  /** The device whose password it was, as it was when the password was compared. */
  async #check(credentials: Credentials): Promise<{ address: DeviceAddress; device: Device } | undefined> {
    const address = parseUsername(credentials.username)
    const account = address && (await this.#cache.get(address.aci))
    const device = account && deviceOf(account, address.deviceId)
    if (!account || !device || !passwordMatches(device, credentials.password)) return undefined
    await this.#touch(account, device)
    return { address, device }
  }

  /** At most once a day, at a moment of the day that is the account's own, so that the writes spread. */
  async #touch(account: Account, device: Device): Promise<void> {
    if (!this.#isVisitDue(account, device)) return
    await this.#store.touch(account.aci, device.id, startOfDay(this.#clock.nowMs()))
    this.#cache.changed(account)
  }

  #isVisitDue(account: Account, device: Device): boolean {
    const offsetMs = (Number.parseInt(account.aci.slice(-8), 16) % 86_400) * 1000
    return device.lastSeenMs < startOfDay(this.#clock.nowMs() - offsetMs)
  }
}

function parseUsername(username: string): DeviceAddress | undefined {
  const dot = username.indexOf('.')
  const aci = parseAci(dot < 0 ? username : username.slice(0, dot))
  if (!aci) return undefined
  if (dot < 0) return { aci, deviceId: PRIMARY_DEVICE }
  const suffix = username.slice(dot + 1)
  return /^[1-9]\d{0,2}$/.test(suffix) ? { aci, deviceId: Number(suffix) as DeviceId } : undefined
}
