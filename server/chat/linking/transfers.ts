// How an account's past gets to another device: the server only passes on where it is, or how it is wanted.
import type { Asker } from '../../../wire/route.ts'
import type { DeviceAddress } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Housekeeping } from '../../kit/housekeeping.ts'
import type { Limits } from '../../kit/limits.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Archive, Destination, LinkingStore, RestoreRequest } from './store.ts'
import { timeoutMsOf } from './timeout.ts'
import type { Waits } from './waits.ts'

const LIFETIME_MS = 3_600_000
const EXPIRE_EVERY_MS = 600_000
const MAX_TOKEN_LENGTH = 64

export type TransfersOptions = {
  readonly accounts: Accounts
  readonly store: LinkingStore
  readonly waits: Waits
  readonly limits: Limits
  readonly clock: Clock
  readonly housekeeping: Housekeeping
}

export class Transfers {
  readonly #options: TransfersOptions

  constructor(options: TransfersOptions) {
    this.#options = options
    options.housekeeping.every(EXPIRE_EVERY_MS, 'linking.expire', () => this.expire())
  }

  /** Removes what nobody can ask for any more. */
  expire(): Promise<void> {
    return this.#options.store.forgetExpired(this.#options.clock.nowMs())
  }

  async putArchive(caller: DeviceAddress, to: Omit<Destination, 'aci'>, archive: Archive): Promise<void> {
    const { accounts, limits, store, waits, clock } = this.#options
    await limits.take('uploadTransferArchive', caller.aci)
    await accounts.of(caller)
    const destination = { ...to, aci: caller.aci }
    await store.putArchive(destination, archive, clock.nowMs() + LIFETIME_MS)
    waits.arrived(archiveKey(destination))
  }

  /** The archive that was made for the calling device in its present life. */
  async waitForArchive(
    caller: DeviceAddress,
    timeoutSeconds: number,
    asker: Asker,
  ): Promise<Archive | undefined> {
    const { accounts, limits, store, waits, clock } = this.#options
    const timeoutMs = timeoutMsOf(timeoutSeconds)
    await limits.take('waitForTransferArchive', `${caller.aci}:${caller.deviceId}`)
    const { device } = await accounts.of(caller)
    const destination = { ...caller, registrationId: device.registrationId }
    const wait = { key: archiveKey(destination), timeoutMs, asker }
    return waits.until(wait, async () => {
      const { device: now } = await accounts.of(caller)
      // What waits for a device that is gone must not get what is meant for its successor.
      if (now.createdAtMs !== device.createdAtMs) throw new Refusal('invalid-credentials')
      return store.archive(destination, clock.nowMs())
    })
  }

  async putRestoreRequest(token: string, request: RestoreRequest, remoteAddress: string): Promise<void> {
    const { limits, store, waits, clock } = this.#options
    checkToken(token)
    await limits.take('recordDeviceTransferRequest', remoteAddress)
    await store.putRestoreRequest(token, request, clock.nowMs() + LIFETIME_MS)
    waits.arrived(restoreKey(token))
  }

  async waitForRestoreRequest(
    token: string,
    timeoutSeconds: number,
    remoteAddress: string,
    asker: Asker,
  ): Promise<RestoreRequest | undefined> {
    const { limits, store, waits, clock } = this.#options
    checkToken(token)
    const timeoutMs = timeoutMsOf(timeoutSeconds)
    await limits.take('waitForDeviceTransferRequest', remoteAddress)
    const wait = { key: restoreKey(token), timeoutMs, asker }
    return waits.until(wait, () => store.restoreRequest(token, clock.nowMs()))
  }
}

const archiveKey = ({ aci, deviceId, registrationId }: Destination) =>
  `archive:${aci}:${deviceId}:${registrationId}`
const restoreKey = (token: string) => `restore:${token}`

/** A token of the clients' choice: what cannot be one is 400. */
function checkToken(token: string): void {
  if (token.trim().length === 0 || token.length > MAX_TOKEN_LENGTH || token.includes('\0'))
    throw new Refusal('bad-request')
}
