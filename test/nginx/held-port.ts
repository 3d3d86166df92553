// A port that stays ours from before anybody is told of it: nobody else can have it, and clients wait while nothing serves it.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { within } from '../within.ts'

/** A thread that listens and stands still accepts nobody; whoever inherits the socket does. */
const HOLDER = `
const { createServer } = require('node:net')
const { parentPort } = require('node:worker_threads')
const server = createServer().on('error', (error) => { throw error })
server.listen(0, '127.0.0.1', () => {
  parentPort.postMessage({ port: server.address().port, fd: server._handle.fd })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
`

export class HeldPort {
  readonly port: number
  /** Of the listening socket, for a child to inherit. */
  readonly fd: number
  readonly #holder: Worker

  private constructor(holder: Worker, { port, fd }: { port: number; fd: number }) {
    this.#holder = holder
    this.port = port
    this.fd = fd
  }

  static async open(): Promise<HeldPort> {
    const holder = new Worker(HOLDER, { eval: true })
    try {
      const [held] = await within(once(holder, 'message'), 'a port')
      return new HeldPort(holder, held)
    } catch (error) {
      await holder.terminate()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#holder.terminate()
  }
}
