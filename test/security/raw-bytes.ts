// Clients that write bytes of their own making: HTTP/2 frames, websocket frames, and pieces of requests.
import { setImmediate } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { within } from '../within.ts'

export type Target = { readonly port: number; readonly ca: Buffer }
type Protocol = 'h2' | 'http/1.1'

/** An open TLS connection; `heard` collects what the server says, while it is read. */
export class RawClient {
  readonly socket: TLSSocket
  readonly closed: Promise<void>
  heard: Buffer = Buffer.alloc(0)

  private constructor(socket: TLSSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {}) // the close that follows says it
    socket.on('data', (chunk: Buffer) => {
      if (this.heard.length < 1_000_000) this.heard = Buffer.concat([this.heard, chunk])
    })
  }

  static async open(
    { port, ca }: Target,
    protocol: Protocol,
    localAddress = '127.0.0.1',
  ): Promise<RawClient> {
    // A connection takes the options of a socket too; its type forgets them.
    const options = { host: '127.0.0.1', port, localAddress }
    const socket = connect({ ...options, ca, servername: 'localhost', ALPNProtocols: [protocol] })
    const client = new RawClient(socket)
    await Promise.race([new Promise((resolve) => socket.once('secureConnect', resolve)), client.closed])
    return client
  }

  get isOpen(): boolean {
    return !this.socket.destroyed
  }

  /** Writes piece after piece until all are gone or the server has closed; true if it took all. */
  async writeAll(pieces: Iterable<Uint8Array>): Promise<boolean> {
    for (const piece of pieces) {
      if (!this.isOpen) return false
      if (!this.socket.write(piece)) await this.#next('drain')
    }
    return this.isOpen
  }

  untilClosed(limitMs = 10_000): Promise<void> {
    return within(this.closed, 'the server to close the connection', limitMs)
  }

  /** Waits until the server has said something that contains this. */
  async untilHeard(text: string): Promise<void> {
    const look = async () => {
      while (!this.heard.includes(text)) {
        if (!this.isOpen) throw new Error(`the server closed before it said ${text}`)
        await this.#next('data')
      }
    }
    await within(look(), text)
  }

  close(): void {
    this.socket.destroy()
  }

  /** Waits for an event, or for the end. */
  #next(event: 'drain' | 'data'): Promise<unknown> {
    return Promise.race([new Promise((resolve) => this.socket.once(event, resolve)), this.closed])
  }
}

/** RFC 9113 §4.1: 3 bytes of length, type, flags, 4 bytes of stream. */
export function http2Frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export const FRAME = { headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 } as const
const NOTHING = Buffer.alloc(0)
export const HTTP2_START = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  http2Frame(FRAME.settings, 0, 0, NOTHING),
])

/** HPACK of `GET https://localhost/` (RFC 7541: indexed 2, 7, 4; literal with the name of 1). */
export const GET_ROOT = Buffer.concat([Buffer.of(0x82, 0x87, 0x84, 0x41, 9), Buffer.from('localhost')])

/** RFC 6455 §5.2, masked with zeros as a client must and may. */
export function websocketFrame(
  opcode: number,
  payload: Uint8Array,
  { fin = true, rsv1 = false } = {},
): Buffer {
  const first = (fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode
  const long = payload.length > 125
  const length = long ? [0x80 | 126, payload.length >> 8, payload.length & 0xff] : [0x80 | payload.length]
  return Buffer.concat([Buffer.of(first, ...length, 0, 0, 0, 0), payload])
}

/** The upgrade of a websocket on HTTP/1.1. */
export const upgradeRequest = (headers: readonly string[] = []): string =>
  [
    'GET /v1/websocket/ HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ...headers,
    '',
    '',
  ].join('\r\n')

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes that this process really holds, in its heap and outside of it. What streams held is free at the second look. */
export async function heldBytes(): Promise<number> {
  for (let look = 0; look < 3; look++) {
    collectGarbage()
    await setImmediate()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
