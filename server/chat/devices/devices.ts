// An account's devices: who may list, name and remove them, and how each is woken.
import type { Capability, DeviceAddress, DeviceId } from '../../../wire/types.ts'
import { PRIMARY_DEVICE } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { WebSubscription } from '../../kit/push-gateway.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type Device, deviceOf } from '../accounts/account.ts'
import { type Accounts, replaceDevice } from '../accounts/accounts.ts'
import type { ChatEvents } from '../events.ts'

const MAX_TOKEN_LENGTH = 4096
const MAX_NAME_BYTES = 225

/** `not-own`: a linked device meant another. `primary`: the primary device leaves by deleting the account only. */
export type Removed = 'removed' | 'not-own' | 'primary'
export type Renamed = 'renamed' | 'not-found' | 'not-own'
export type Subscribed = 'subscribed' | 'not-https' | 'not-offered'
/** A way to wake a device. */
export type PushService = 'apn' | 'fcm'

export type DevicesOptions = {
  readonly accounts: Accounts
  readonly clock: Clock
  readonly events: ChatEvents
  /** The public key of Web Push, if it is offered. */
  readonly webPushKey: string | undefined
}

export class Devices {
  readonly #accounts: Accounts
  readonly #clock: Clock
  readonly #webPushKey: string | undefined
  readonly #events: ChatEvents

  constructor(options: DevicesOptions) {
    this.#clock = options.clock
    this.#webPushKey = options.webPushKey
    this.#accounts = options.accounts
    this.#events = options.events
  }

  async list(caller: DeviceAddress): Promise<readonly Device[]> {
    return (await this.#accounts.of(caller)).account.devices
  }

  /** A device that is not there counts as removed. Its sockets close (4401) after the commit. */
  async remove(caller: DeviceAddress, deviceId: DeviceId): Promise<Removed> {
    if (caller.deviceId !== PRIMARY_DEVICE && caller.deviceId !== deviceId) return 'not-own'
    if (deviceId === PRIMARY_DEVICE) return 'primary'
    const { account } = await this.#accounts.of(caller)
    if (deviceOf(account, deviceId)) this.#events.deviceUnlinked()
    await this.#accounts.unlink(caller.aci, deviceId)
    return 'removed'
  }

  /** `name` is encrypted by the client. Nothing stands for the caller's own device. */
  async rename(caller: DeviceAddress, of: DeviceId | undefined, name: Uint8Array): Promise<Renamed> {
    if (name.length === 0 || name.length > MAX_NAME_BYTES)
      throw new Refusal('invalid', { field: 'name', message: 'must have 1 to 225 bytes' })
    const deviceId = of ?? caller.deviceId
    let renamed: Renamed = 'not-found'
    await this.#accounts.updateBy(caller, (account) => {
      const device = deviceOf(account, deviceId)
      renamed = device ? 'renamed' : 'not-found'
      if (!device) return undefined
      if (caller.deviceId === PRIMARY_DEVICE || caller.deviceId === deviceId)
        return { ...account, devices: replaceDevice(account, { ...device, name }) }
      renamed = 'not-own'
      return undefined
    })
    return renamed
  }

  setCapabilities(caller: DeviceAddress, capabilities: ReadonlySet<Capability>): Promise<void> {
    return this.#accounts.setCapabilities(caller, capabilities)
  }

  /** The device is woken by this token alone, and no longer fetches by itself. */
  async setToken(caller: DeviceAddress, service: PushService, token: string): Promise<void> {
    if (token.length === 0 || token.length > MAX_TOKEN_LENGTH || token.includes('\0'))
      throw new Refusal('invalid', { field: 'token', message: 'must be a push token' })
    const apnToken = service === 'apn' ? token : undefined
    const fcmToken = service === 'fcm' ? token : undefined
    await this.#change(caller, (device) =>
      fcmToken !== undefined && device.fcmToken === fcmToken
        ? undefined
        : {
            ...device,
            ...{ apnToken, fcmToken, webPush: undefined, fetchesMessages: false },
            pushSetAtMs: this.#clock.nowMs(),
          },
    )
  }

  /** The device has no way to be told of messages until it says how (signal-api §2.9). */
  async clearToken(caller: DeviceAddress, service: PushService): Promise<void> {
    await this.#change(caller, (device) => ({
      ...device,
      [`${service}Token`]: undefined,
      fetchesMessages: false,
      userAgent: agentOf(device, service),
    }))
  }

  /** How a device knows the pushes that are meant for it: base64url (RFC 8292 §3.2). Nothing if there are none. */
  get webPushKey(): string | undefined {
    return this.#webPushKey
  }

  /** The device is woken at an address of its own choice. What that name means is seen when it is asked. */
  async setWebPush(caller: DeviceAddress, webPush: WebSubscription): Promise<Subscribed> {
    if (this.#webPushKey === undefined) return 'not-offered'
    const url = URL.parse(webPush.endpoint)
    if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') return 'not-https'
    await this.#change(caller, (device) => ({
      ...device,
      ...{ webPush, apnToken: undefined, fcmToken: undefined, fetchesMessages: false },
      pushSetAtMs: this.#clock.nowMs(),
    }))
    return 'subscribed'
  }

  async clearWebPush(caller: DeviceAddress): Promise<void> {
    await this.#change(caller, (device) =>
      device.webPush ? { ...device, webPush: undefined, fetchesMessages: true } : undefined,
    )
  }

  /** Forgets whatever token there is; the device fetches by itself from now on. */
  async clearTokens(caller: DeviceAddress): Promise<void> {
    await this.#change(caller, (device) => ({
      ...device,
      apnToken: undefined,
      fcmToken: undefined,
      webPush: undefined,
      fetchesMessages: true,
      userAgent: agentOf(device, serviceOf(device)),
    }))
  }

  async #change(caller: DeviceAddress, change: (device: Device) => Device | undefined): Promise<void> {
    await this.#accounts.updateBy(caller, (account, device) => {
      const changed = change(device)
      return changed && { ...account, devices: replaceDevice(account, changed) }
    })
  }
}

const serviceOf = (device: Device): PushService | undefined => {
  if (device.apnToken !== undefined) return 'apn'
  return device.fcmToken === undefined ? undefined : 'fcm'
}

/** What a device without a token is taken for: Android, iPhone, iPad. */
function agentOf(device: Device, service: PushService | undefined): string | undefined {
  if (service === undefined) return device.userAgent
  if (service === 'fcm') return 'OWA'
  return device.id === PRIMARY_DEVICE ? 'OWI' : 'OWP'
}
