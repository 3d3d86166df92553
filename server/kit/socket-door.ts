// HTTP over a Unix socket, for programs of the same user on the same host: who reaches it is believed.
import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Headers } from './router.ts'
import type { StreamHandler } from './streaming.ts'

/** Longer than any client keeps a connection without a request, so that none is closed while one is on its way. */
const KEEP_ALIVE_MS = 600_000

/** Answers without bodies. */
export class SocketDoor {
  readonly #server: Server

  private constructor(serve: StreamHandler) {
    this.#server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
      void answer(serve, request, response)
    })
  }

  /** In the place of whatever a process before has left there. The folder must be closed to others. */
  static async open(path: string, serve: StreamHandler): Promise<SocketDoor> {
    await rm(path, { force: true })
    const door = new SocketDoor(serve)
    await door.#listen(path)
    await chmod(path, 0o600)
    return door
  }

  #listen(path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(path, resolve)
    return promise
  }

  /** What was asked is answered first. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeIdleConnections()
    await promise
  }
}

async function answer(serve: StreamHandler, request: IncomingMessage, response: ServerResponse) {
  const { method = '', url = '', headers } = request
  const reply = await serve({ method, target: url, headers: headers as Headers, body: request })
  response.writeHead(reply?.status ?? 404, reply?.headers ?? { 'Content-Length': '0' }).end()
}
