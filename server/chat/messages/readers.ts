// Who reads a device's queue: the newest that came, by whichever door, as long as the device is what it was.
import type { DeviceAddress } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Accounts } from '../accounts/accounts.ts'
import { Delivery } from './delivery.ts'
import type { Queues } from './queues.ts'
import type { Reader } from './reader.ts'
import type { Receipts } from './receipts.ts'
import { Queue } from './store.ts'

export type ReadersOptions = {
  readonly accounts: Accounts
  readonly receipts: Receipts
  readonly queues: Queues
  readonly clock: Clock
  readonly onBug: (error: unknown, where: string) => void
}

export class Readers {
  readonly #options: ReadersOptions

  constructor(options: ReadersOptions) {
    this.#options = options
  }

  /** A device reads from now on. Throws `Refusal` if there is no such device any more. */
  async open(address: DeviceAddress, reader: Reader, receivesStories: boolean): Promise<void> {
    const { device } = await this.#options.accounts.of(address)
    this.admit(address, device.createdAtMs, reader, receivesStories)
  }

  /** As `open`, for a device that was created at that time. */
  admit(address: DeviceAddress, createdAtMs: number, reader: Reader, receivesStories: boolean): void {
    const { queues, receipts, clock, onBug } = this.#options
    const queue = new Queue(address.aci, address.deviceId, createdAtMs)
    new Delivery({ queue, reader, queues, receipts, clock, receivesStories, onBug })
    void this.recheck(address, createdAtMs, () => reader.dismiss('reauthenticate'))
  }

  /** The device may have been replaced between its authentication and the moment from which it is told of that. */
  async recheck(address: DeviceAddress, createdAtMs: number, leave: () => void): Promise<void> {
    const account = await this.#options.accounts.find(address.aci)
    const device = account?.devices.find((one) => one.id === address.deviceId)
    if (device?.createdAtMs !== createdAtMs) leave()
  }
}
