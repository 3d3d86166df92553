// Connections as libsignal makes them: TLS, then a websocket by Upgrade or by extended CONNECT (RFC 8441).
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Account, Target } from '../job.ts'
import { WebSocketClient } from './websocket.ts'

export type Connection = {
  readonly socket: WebSocketClient
  /** On HTTP/2, what the websocket shares with gRPC calls. */
  readonly session: ClientHttp2Session | undefined
  close(): Promise<void>
}

const PATH = '/v1/websocket/'
const USER_AGENT = 'heliograph-bench libsignal/0.103.0'
const AT_ONCE = 32
const HEAD_END = '\r\n\r\n'

export const basic = ({ aci, password }: Account): string =>
  `Basic ${Buffer.from(`${aci}.1:${password}`).toString('base64')}`

/** Runs `task` for every item, a few dozen at once, and keeps the order of the answers. */
export async function inParallel<T, R>(items: readonly T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await task(items[index]!)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}

/** Opens the socket of an account, or one without a name. */
export function connect(target: Target, http: 'h1' | 'h2', account?: Account): Promise<Connection> {
  const headers: Record<string, string> = account
    ? { authorization: basic(account), 'x-signal-receive-stories': 'false' }
    : {}
  headers['user-agent'] = USER_AGENT
  return http === 'h1' ? upgrade(target, headers) : extendedConnect(target, headers)
}

const authorities = new Map<string, Buffer>()
function authority(path: string): Buffer {
  const known = authorities.get(path)
  if (known) return known
  const pem = readFileSync(path)
  authorities.set(path, pem)
  return pem
}

const tlsOptions = ({ port, caPem }: Target, protocol: string) => ({
  host: '127.0.0.1',
  port,
  servername: 'localhost',
  ca: authority(caPem),
  ALPNProtocols: [protocol],
})

async function upgrade(target: Target, headers: Record<string, string>): Promise<Connection> {
  const tls = connectTls(tlsOptions(target, 'http/1.1'))
  await once(tls, 'secureConnect')
  tls.on('error', () => {}) // the close that follows says it
  tls.setNoDelay(true)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const key = randomBytes(16).toString('base64')
  tls.write(
    [
      `GET ${PATH} HTTP/1.1`,
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${key}`,
      ...lines,
    ].join('\r\n') + HEAD_END,
  )
  const head = await readHead(tls)
  return { socket: new WebSocketClient(tls, head), session: undefined, close: () => closed(tls) }
}

/** Reads the answer to the upgrade, and returns what came after it. */
function readHead(tls: TLSSocket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let data = Buffer.alloc(0)
    const onData = (chunk: Buffer) => {
      data = Buffer.concat([data, chunk])
      const end = data.indexOf(HEAD_END)
      if (end < 0) return
      tls.pause()
      tls.off('data', onData)
      const status = data.toString('latin1', 0, data.indexOf('\r\n'))
      if (status.includes(' 101 ')) resolve(data.subarray(end + HEAD_END.length))
      else reject(new Error(`the upgrade was refused: ${status}`))
    }
    tls.on('data', onData)
    tls.once('close', () => reject(new Error('the connection closed in the handshake')))
  })
}

async function extendedConnect(target: Target, headers: Record<string, string>): Promise<Connection> {
  const session = connectHttp2(`https://localhost:${target.port}`, {
    createConnection: () => connectTls(tlsOptions(target, 'h2')),
    settings: { initialWindowSize: 2 * 1024 * 1024, enablePush: false },
  })
  session.on('error', () => {}) // the close that follows says it
  await once(session, 'remoteSettings')
  session.setLocalWindowSize(16 * 1024 * 1024)
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':path': PATH,
    ':authority': 'localhost',
    'sec-websocket-version': '13',
    ...headers,
  })
  const [answer] = await once(stream, 'response')
  if (answer[':status'] !== 200) throw new Error(`the extended CONNECT was refused: ${answer[':status']}`)
  return { socket: new WebSocketClient(stream), session, close: () => closeSession(session, stream) }
}

async function closeSession(session: ClientHttp2Session, stream: ClientHttp2Stream): Promise<void> {
  stream.destroy()
  session.destroy()
  if (!session.closed) await once(session, 'close')
}

async function closed(tls: TLSSocket): Promise<void> {
  if (tls.closed) return
  tls.destroy()
  await once(tls, 'close')
}
