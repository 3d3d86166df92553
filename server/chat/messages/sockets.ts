// The websocket of a chat client: who may open one, and that a device's messages flow to its newest (signal-api §1.3).
import { type DeviceAddress, PRIMARY_DEVICE } from '../../../wire/types.ts'
import { CLOSE } from '../../../wire/websocket.ts'
import type { Clock } from '../../kit/clock.ts'
import { parseBasic } from '../../kit/router.ts'
import type { Admission, Admit, Connection, Upgrade } from '../../kit/websocket.ts'
import type { Account, Device } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { ChatEvents } from '../events.ts'
import type { Queues } from './queues.ts'
import type { Readers } from './readers.ts'
import { LAST_ANSWERS_MS, SocketReader } from './socket-reader.ts'

const PATH = /^\/v1\/websocket\/?(\?.*)?$/
const FORBIDDEN: Admission = { admitted: false, status: 403, headers: {} }

export type SocketsOptions = {
  readonly accounts: Accounts
  readonly readers: Readers
  readonly queues: Queues
  readonly clock: Clock
  readonly events: ChatEvents
  /** How long a primary device may be away before its linked devices are told. */
  readonly idlePrimaryMs: number
  readonly onBug: (error: unknown, where: string) => void
}

export class Sockets {
  readonly #options: SocketsOptions

  constructor(options: SocketsOptions) {
    this.#options = options
  }

  readonly admit: Admit = async (upgrade) => {
    if (!PATH.test(upgrade.path)) return undefined
    const authorization = upgrade.headers['authorization']
    if (authorization === undefined)
      return {
        admitted: true,
        device: undefined,
        headers: {},
        opened: () => this.#options.events.socketOpened('anonymous'),
      }
    try {
      const credentials = parseBasic(authorization)
      const device = credentials && (await this.#options.accounts.authenticate(credentials))
      if (device) return await this.#authenticated(device, upgrade)
      this.#options.events.socketRefused()
      return FORBIDDEN
    } catch (error) {
      this.#options.onBug(error, 'websocket.admit')
      return { admitted: false, status: 500, headers: {} }
    }
  }

  async #authenticated(address: DeviceAddress, upgrade: Upgrade): Promise<Admission> {
    const { account, device } = await this.#options.accounts.of(address)
    const createdAtMs = device.createdAtMs
    const receivesStories = upgrade.headers['x-signal-receive-stories'] === 'true'
    const opened = (connection: Connection) => {
      this.#options.events.socketOpened('authenticated')
      if (upgrade.headers['x-signal-disable-messages'] === 'true')
        this.#serve(connection, address, createdAtMs)
      else {
        const { readers, clock } = this.#options
        readers.admit(address, createdAtMs, new SocketReader(connection, clock), receivesStories)
      }
    }
    return { admitted: true, device: address, headers: this.#alerts(account, device), opened }
  }

  /** Signal-api §0.4: only the user can bring an idle primary back. */
  #alerts({ devices }: Account, device: Device): Readonly<Record<string, string>> {
    const primary = devices.find(({ id }) => id === PRIMARY_DEVICE)
    const idleSinceMs = this.#options.clock.nowMs() - this.#options.idlePrimaryMs
    const isIdle = device.id !== PRIMARY_DEVICE && primary !== undefined && primary.lastSeenMs < idleSinceMs
    return isIdle ? { 'X-Signal-Alert': 'idle-primary-device' } : {}
  }

  /** A socket for requests alone: it displaces nobody, but has to go when the device does. */
  #serve(connection: Connection, address: DeviceAddress, createdAtMs: number): void {
    const close = () => connection.finish(CLOSE.reauthenticate, LAST_ANSWERS_MS)
    const subscription = this.#options.queues.listenToDevice(address, close)
    connection.listen({ answered: () => {}, drained: () => {}, closed: () => subscription.cancel() })
    void this.#options.readers.recheck(address, createdAtMs, close)
  }
}
