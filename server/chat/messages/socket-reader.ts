// A websocket as the reader of a queue (signal-api §1.3.2).
import { CLOSE, type Close } from '../../../wire/websocket.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Connection } from '../../kit/websocket.ts'
import type { Farewell, Reader, ReaderListener } from './reader.ts'

const FAREWELLS: Readonly<Record<Farewell, Close>> = {
  displaced: CLOSE.connectedElsewhere,
  reauthenticate: CLOSE.reauthenticate,
  failed: CLOSE.serverError,
}
/** Who leaves is told that it worked before the door closes: `DELETE /v1/accounts/me` on a socket. */
export const LAST_ANSWERS_MS = 500
const NOTHING = new Uint8Array(0)

export class SocketReader implements Reader {
  readonly #connection: Connection
  readonly #clock: Clock
  #dismissed = false

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
  }

  get isReady(): boolean {
    return !this.#dismissed && this.#connection.isOpen && !this.#connection.congested
  }

  listen(listener: ReaderListener): void {
    this.#connection.listen({
      answered: (id, status) => listener.answered(id, status >= 200 && status < 300),
      drained: () => listener.drained(),
      closed: () => listener.closed(),
    })
  }

  deliver(envelope: Uint8Array): number {
    return this.#request('/api/v1/message', envelope)
  }

  endBacklog(): void {
    this.#request('/api/v1/queue/empty', NOTHING)
  }

  dismiss(why: Farewell): void {
    this.#dismissed = true
    this.#connection.finish(FAREWELLS[why], LAST_ANSWERS_MS)
  }

  #request(path: string, body: Uint8Array): number {
    const headers = [`X-Signal-Timestamp:${this.#clock.nowMs()}`]
    return this.#connection.request('PUT', path, headers, body)
  }
}
