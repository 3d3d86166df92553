// The sockets of devices that belong to nobody yet: each has an address for a short while, and gets one message (§1.3.2).
import { ProvisioningAddress } from '../../../wire/gen/provisioning.js'
import type { Aci } from '../../../wire/types.ts'
import { CLOSE } from '../../../wire/websocket.ts'
import type { Bus } from '../../kit/bus.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Admission, Admit, Connection } from '../../kit/websocket.ts'
import type { ChatEvents } from '../events.ts'

const PATH = /^\/v1\/websocket\/provisioning\/?(\?.*)?$/
const ADDRESS_BYTES = 16
/** A socket is closed after this time, whatever happens on it. */
export const LIFETIME_MS = 90_000
/** A socket from which nothing is heard for so long is gone. */
export const IDLE_MS = 60_000
/** What 256 Ki characters of base64 hold. */
export const MAX_MESSAGE_BYTES = (256 * 1024 * 3) / 4

export type ProvisioningOptions = {
  readonly bus: Bus
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly events: ChatEvents
}

export class Provisioning {
  readonly #options: ProvisioningOptions

  constructor(options: ProvisioningOptions) {
    this.#options = options
  }

  readonly admit: Admit = async ({ path }): Promise<Admission | undefined> =>
    PATH.test(path)
      ? {
          admitted: true,
          device: undefined,
          socket: 'provisioning',
          headers: {},
          opened: (connection) => this.#serve(connection),
        }
      : undefined

  /** False if nobody is at that address. Too long a message is 400. */
  async send(from: Aci, address: string, message: Uint8Array): Promise<boolean> {
    const { limits, bus } = this.#options
    if (message.length > MAX_MESSAGE_BYTES) throw new Refusal('bad-request')
    await limits.take('messages', from)
    return bus.publish(channelOf(address), { type: 'deliver', body: message }) > 0
  }

  #serve(connection: Connection): void {
    const { bus, clock, events, random } = this.#options
    events.socketOpened('provisioning')
    const address = addressOf(random.bytes(ADDRESS_BYTES))
    let handedOver: number | undefined
    const deliver = (message: Uint8Array) => {
      subscription.cancel()
      handedOver = this.#ask(connection, '/v1/message', message)
    }
    const subscription = bus.subscribe(channelOf(address), ({ body }) => body && deliver(body))
    const end = clock.after(LIFETIME_MS, () => connection.close(CLOSE.timeout))
    const idle = this.#watch(connection)
    connection.listen({
      answered: (id) => id === handedOver && connection.close(CLOSE.closed),
      drained: () => {},
      closed: () => {
        for (const one of [subscription, end, idle]) one.cancel()
      },
    })
    this.#ask(connection, '/v1/address', ProvisioningAddress.encode({ address }).finish())
  }

  #ask(connection: Connection, path: string, body: Uint8Array): number {
    const headers = [`X-Signal-Timestamp:${this.#options.clock.nowMs()}`]
    return connection.request('PUT', path, headers, body)
  }

  /** Ends a connection that fell silent. */
  #watch(connection: Connection): { cancel(): void } {
    const { clock } = this.#options
    const look = () => {
      const leftMs = connection.lastHeardMs + IDLE_MS - clock.steadyMs()
      if (leftMs <= 0) connection.terminate()
      else timer = clock.after(leftMs, look)
    }
    let timer = clock.after(IDLE_MS, look)
    return { cancel: () => timer.cancel() }
  }
}

/** Base64 for URLs, with padding, as Signal writes it. */
const addressOf = (bytes: Buffer) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
const channelOf = (address: string) => `provisioning:${address}`
