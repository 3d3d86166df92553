// A websocket without libsignal: for frames that it would never send, and for counting what it hides.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import { WebSocket } from 'ws'
import type { Ready } from '../../server/up.ts'
import {
  decodeFrame,
  encodeRequest,
  encodeResponse,
  type RequestFrame,
  type ResponseFrame,
} from '../../wire/websocket.ts'
import { within } from '../within.ts'
import { Inbox } from './inbox.ts'
import type { HttpVersion } from './net.ts'

export type Handshake = {
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}
/** How an upgrade was answered; the socket is there if it was accepted. */
export type Answered = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly socket: RawSocket | undefined
}

const PATH = '/v1/websocket/'

export class RawSocket implements AsyncDisposable {
  readonly websocket: WebSocket
  readonly requests = new Inbox<RequestFrame>('request of the server')
  readonly responses = new Inbox<ResponseFrame>('response')
  readonly #release: () => Promise<void>
  readonly #ended: Promise<{ code: number; reason: string }>
  #lastId = 0

  constructor(websocket: WebSocket, release: () => Promise<void>) {
    this.websocket = websocket
    this.#release = release
    websocket.on('error', () => {}) // the close that follows says it
    websocket.on('message', (data) => {
      const frame = decodeFrame(data as Buffer)
      if (frame?.kind === 'request') this.requests.put(frame)
      else if (frame) this.responses.put(frame)
    })
    this.#ended = new Promise((resolve) =>
      websocket.on('close', (code, reason) => {
        this.responses.end(new Error(`the socket was closed with ${code}`))
        resolve({ code, reason: reason.toString() })
      }),
    )
  }

  /** Opens a socket that must be accepted. */
  static async open(ready: Ready, httpVersion: HttpVersion, handshake: Handshake = {}): Promise<RawSocket> {
    const { socket, status } = await knock(ready, httpVersion, handshake)
    if (!socket) throw new Error(`the upgrade was refused with ${status}`)
    return socket
  }

  /** How the server closed it. */
  closed(): Promise<{ code: number; reason: string }> {
    return within(this.#ended, 'the socket to be closed')
  }

  /** Asks, and waits for the answer. */
  async ask(verb: string, path: string, headers: readonly string[] = [], body = Buffer.alloc(0)) {
    const id = ++this.#lastId
    this.websocket.send(encodeRequest({ verb, path, headers, body, id }))
    for (;;) {
      const response = await this.responses.next()
      if (response.id === id) return response
    }
  }

  /** Answers a request of the server. */
  answer(request: RequestFrame, status: number): void {
    const message = status === 200 ? 'OK' : 'Error'
    this.websocket.send(
      encodeResponse({ id: request.id!, status, message, headers: [], body: Buffer.alloc(0) }),
    )
  }

  async close(): Promise<void> {
    this.websocket.close(1000)
    await this.closed()
    await this.#release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Asks for a socket, and tells what came of it. */
export function knock(ready: Ready, httpVersion: HttpVersion, handshake: Handshake = {}): Promise<Answered> {
  const answered = httpVersion === 1 ? knockHttp1(ready, handshake) : knockHttp2(ready, handshake)
  return within(answered, 'an answer to the upgrade')
}

function knockHttp1({ urls, tls }: Ready, { path = PATH, headers = {} }: Handshake): Promise<Answered> {
  const url = new URL(path, urls.chat.replace('https:', 'wss:'))
  const websocket = new WebSocket(url, { ca: readFileSync(tls.caPem), headers, perMessageDeflate: false })
  const socket = new RawSocket(websocket, async () => {})
  return new Promise((resolve, reject) => {
    websocket.once('upgrade', (response) => {
      const head = { status: 101, headers: response.headers as Answered['headers'] }
      websocket.once('open', () => resolve({ ...head, socket }))
    })
    websocket.once('unexpected-response', (request, response) => {
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers as Answered['headers'],
        socket: undefined,
      })
      request.destroy()
    })
    websocket.once('error', reject)
  })
}

async function knockHttp2({ urls, tls }: Ready, { path = PATH, headers = {} }: Handshake): Promise<Answered> {
  const session = connect(urls.chat, { ca: readFileSync(tls.caPem) })
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':path': path,
    ':authority': 'localhost',
    'sec-websocket-version': '13',
    ...headers,
  })
  stream.on('error', () => {})
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  const release = async () => {
    if (session.destroyed) return
    const closed = once(session, 'close')
    session.destroy()
    await closed
  }
  const answer = { status: head[':status'], headers: head as Answered['headers'] }
  if (answer.status !== 200) {
    await release()
    return { ...answer, socket: undefined }
  }
  const websocket = clientSocket()
  const socket = new RawSocket(websocket, release)
  // `ws` has no door for a stream of somebody else's making; this is the one its own client uses.
  const internal = websocket as unknown as { setSocket(stream: object, head: Buffer, options: object): void }
  internal.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: 2 ** 24 })
  return { ...answer, socket }
}

/** A socket without a handshake, on the client's side: it masks what it sends. */
function clientSocket(): WebSocket {
  const websocket = new WebSocket(null as never, undefined, { autoPong: true } as never)
  Object.assign(websocket, { _isServer: false })
  return websocket
}
