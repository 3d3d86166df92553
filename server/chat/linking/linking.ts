// Linking: the primary device lets another onto the account, once for each token (signal-api §2.8).

import type { Asker } from '../../../wire/route.ts'
import { type Aci, type DeviceAddress, type DeviceId, PRIMARY_DEVICE } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { startOfDay } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import { type Account, type Device, deviceOf, hasNumber } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import { sealCreation } from '../accounts/creation-seal.ts'
import { hashPassword } from '../accounts/device-password.ts'
import type { ChatEvents } from '../events.ts'
import type { Keys } from '../keys/keys.ts'
import type { Queues } from '../messages/queues.ts'
import { queueOf } from '../messages/store.ts'
import { type LinkToken, LinkTokens } from './link-tokens.ts'
import { agentOf, checkForm, checkKeys, isDowngrade, missesNumber, type NewDevice } from './new-device.ts'
import type { LinkingStore } from './store.ts'
import { timeoutMsOf } from './timeout.ts'
import type { Waits } from './waits.ts'

/** Devices of one account, the primary included. */
export const MAX_DEVICES = 6
const MAX_RETRIES = 10
const TOKEN_ID_BYTES = 32
/** For so long a primary device may ask what became of its token. */
const REMEMBER_LINKED_MS = 3_600_000
const QUEUE_POLL_MS = 1_000

export type Full = { readonly kind: 'full'; readonly current: number; readonly max: number }
export type Token = { readonly kind: 'token'; readonly token: string; readonly id: Uint8Array } | Full
/** `refused`: the token is none, over, or was used. `downgrade`: the device can do less than the account. */
export type Linkage =
  | { readonly kind: 'linked'; readonly account: Account; readonly device: Device }
  | { readonly kind: 'refused' | 'downgrade' }
  | Full

export type LinkingOptions = {
  readonly accounts: Accounts
  readonly keys: Keys
  readonly queues: Queues
  readonly store: LinkingStore
  readonly waits: Waits
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  /** Signs link tokens. */
  readonly secret: Buffer
  readonly events: ChatEvents
}

export class Linking {
  readonly #options: LinkingOptions
  readonly #tokens: LinkTokens

  constructor(options: LinkingOptions) {
    this.#options = options
    this.#tokens = new LinkTokens(options.secret, options.clock)
  }

  /** A token for one new device. Only the primary device gets one (401). */
  async token(caller: DeviceAddress): Promise<Token> {
    const { accounts, limits } = this.#options
    const { account, device } = await accounts.of(caller)
    await limits.take('allocateDevice', caller.aci)
    if (isFull(account)) return full(account)
    if (caller.deviceId !== PRIMARY_DEVICE) throw new Refusal('invalid-credentials')
    return { kind: 'token', ...this.#tokens.make(caller.aci, device.createdAtMs) }
  }

  /** The device, its keys, and the end of the token: all of it or nothing. */
  async link(token: string, device: NewDevice): Promise<Linkage> {
    const { accounts, limits, random, store, clock } = this.#options
    checkForm(device)
    const claim = this.#tokens.read(token)
    if (!claim || !isOf(claim, await accounts.find(claim.aci))) return { kind: 'refused' }
    await limits.take('verifyDevice', claim.aci)
    const secret = hashPassword(device.password, random)
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const account = await accounts.find(claim.aci)
      if (!isOf(claim, account)) return { kind: 'refused' }
      const linkage = await this.#attempt(account, claim, device, secret)
      if (linkage) return linkage
      if (await store.linked(claim.aci, claim.id, clock.nowMs())) return { kind: 'refused' }
    }
    throw new Refusal('unavailable')
  }

  /**
   * The device that a token was used for, once its primary has fetched every message from before: what an archive that is
   * made now lacks, the new device gets by itself. Nothing if that does not happen in time.
   */
  async waitForLinked(
    caller: DeviceAddress,
    tokenId: Uint8Array,
    timeoutSeconds: number,
    asker: Asker,
  ): Promise<Device | undefined> {
    const { limits, waits, clock } = this.#options
    const timeoutMs = timeoutMsOf(timeoutSeconds)
    if (tokenId.length !== TOKEN_ID_BYTES || caller.deviceId !== PRIMARY_DEVICE)
      throw new Refusal('bad-request')
    await limits.take('waitForLinkedDevice', caller.aci)
    const untilMs = clock.steadyMs() + timeoutMs
    const wait = { key: keyOf(caller.aci, tokenId), asker }
    const linked = await waits.until({ ...wait, timeoutMs }, () => this.#linked(caller.aci, tokenId))
    if (!linked) return undefined
    const linkedByMs = clock.nowMs()
    const rest = { ...wait, timeoutMs: Math.max(0, untilMs - clock.steadyMs()), everyMs: QUEUE_POLL_MS }
    return waits.until(rest, async () => ((await this.#owes(caller, linkedByMs)) ? undefined : linked))
  }

  deleted({ aci }: Account): Statement[] {
    return this.#options.store.clear(aci)
  }

  replaced({ aci }: Account): Statement[] {
    return [this.#options.store.clearArchives(aci)]
  }

  unlinked({ aci }: Account, deviceId: DeviceId): Statement[] {
    return [this.#options.store.clearArchives(aci, deviceId)]
  }

  /** Nothing if somebody else wrote in between, or the token was used. */
  async #attempt(
    account: Account,
    claim: LinkToken,
    request: NewDevice,
    secret: Pick<Device, 'authSalt' | 'authHash'>,
  ): Promise<Linkage | undefined> {
    const { accounts, keys, store, waits, events } = this.#options
    // Told first: a device that is too old for such an account brings keys for the number as well.
    if (missesNumber(account, request)) return { kind: 'downgrade' }
    const checked = checkKeys(account, request)
    if (isFull(account)) return full(account)
    if (isDowngrade(account, request)) return { kind: 'downgrade' }
    const device = await this.#device(account, request, secret)
    const changed = { ...account, version: account.version + 1, devices: withDevice(account, device) }
    const done = await accounts.put(changed, [
      // What a device of the same id left, or stored while it was removed.
      ...accounts.unlinking(account, device.id),
      ...keys.forNewDevice(account.aci, device.id, checked),
      store.use(
        claim.aci,
        claim.id,
        { deviceId: device.id, createdAtMs: device.createdAtMs },
        this.#options.clock.nowMs() + REMEMBER_LINKED_MS,
      ),
    ])
    if (!done) return undefined
    events.deviceLinked()
    waits.arrived(keyOf(claim.aci, claim.id))
    return { kind: 'linked', account: changed, device }
  }

  async #device(
    account: Account,
    request: NewDevice,
    secret: Pick<Device, 'authSalt' | 'authHash'>,
  ): Promise<Device> {
    const nowMs = this.#options.clock.nowMs()
    const life = {
      id: lowestFreeId(account),
      registrationId: request.registrationId,
      createdAtMs: Math.max(nowMs, 1 + (await this.#newestAtMs(account))),
    }
    return {
      ...life,
      ...secret,
      pniRegistrationId: hasNumber(account) ? request.pniRegistrationId : undefined,
      name: request.name,
      capabilities: request.capabilities!,
      fetchesMessages: request.fetchesMessages,
      apnToken: request.apnToken,
      fcmToken: request.fcmToken,
      webPush: undefined,
      pushSetAtMs: nowMs,
      userAgent: agentOf(request),
      lastSeenMs: startOfDay(nowMs),
      createdAtCiphertext: sealCreation(account.aciIdentityKey, life),
    }
  }

  /** A device's queue must not be that of a device before it, be it gone or not. */
  async #newestAtMs(account: Account): Promise<number> {
    const linkedAtMs = await this.#options.store.newestLinkedAtMs(account.aci)
    return Math.max(linkedAtMs, ...account.devices.map((device) => device.createdAtMs))
  }

  async #linked(aci: Aci, tokenId: Uint8Array): Promise<Device | undefined> {
    const { store, accounts, clock } = this.#options
    const linked = await store.linked(aci, tokenId, clock.nowMs())
    const account = linked && (await accounts.find(aci))
    const device = account && deviceOf(account, linked.deviceId)
    return device?.createdAtMs === linked?.createdAtMs ? device : undefined
  }

  /** Whether the caller has left messages in its queue that came no later than that. */
  async #owes(caller: DeviceAddress, untilMs: number): Promise<boolean> {
    const { accounts, queues } = this.#options
    const { account, device } = await accounts.of(caller)
    return queues.holdsFrom(queueOf(account, device), untilMs)
  }
}

const keyOf = (aci: Aci, tokenId: Uint8Array) => `linked:${aci}:${Buffer.from(tokenId).toString('hex')}`

const isFull = (account: Account) => account.devices.length >= MAX_DEVICES
const full = (account: Account): Full => ({
  kind: 'full',
  current: account.devices.length,
  max: MAX_DEVICES,
})

/** A token from before an account was registered anew is not the new owner's word. */
const isOf = (claim: LinkToken, account: Account | undefined): account is Account =>
  account !== undefined && claim.madeAtMs >= (deviceOf(account, PRIMARY_DEVICE)?.createdAtMs ?? Infinity)

const withDevice = (account: Account, device: Device): Device[] =>
  [...account.devices, device].sort((a, b) => a.id - b.id)

function lowestFreeId(account: Account): DeviceId {
  let id = PRIMARY_DEVICE + 1
  while (deviceOf(account, id)) id++
  return id
}
