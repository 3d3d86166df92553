// Every way into the router, as transports: HTTPS on both versions of HTTP, and requests inside websockets.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect } from 'node:http2'
import { Agent, request } from 'node:https'
import type { Ready } from '../../server/up.ts'
import type { Transport, WireReply } from '../../wire/client.ts'
import { authorizationOf } from '../client/https.ts'
import { RawSocket } from '../client/raw-socket.ts'
import type { Registered } from '../client/register.ts'
import { toReply } from '../client/rest.ts'
import { within } from '../within.ts'

export type Door = {
  readonly name: string
  /** On a socket the caller is whoever opened it. */
  readonly kind: 'https' | 'device-socket' | 'anonymous-socket'
  /** Whether it takes any text as a target or a header, not only what HTTP allows. */
  readonly anyText: boolean
  readonly call: Transport
}

const ANSWER_WITHIN_MS = 20_000

function openHttp1({ urls }: Ready, ca: Buffer): { door: Door; close(): void } {
  const agent = new Agent({ ca, keepAlive: true, maxSockets: 16, ALPNProtocols: ['http/1.1'] })
  const port = new URL(urls.chat).port
  const call: Transport = async (method, path, headers, body) => {
    const sent = request({ host: 'localhost', port, method, path, headers, agent })
    const answered = once(sent, 'response')
    sent.end(body)
    const [response] = await within(answered, `an answer to ${method} ${path}`, ANSWER_WITHIN_MS)
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return toReply(
      response.statusCode,
      Object.entries(response.headers as Record<string, string>),
      join(chunks),
    )
  }
  const door: Door = { name: 'HTTP/1.1', kind: 'https', anyText: false, call }
  return { door, close: () => agent.destroy() }
}

const join = (chunks: readonly Buffer[]) => Buffer.concat(chunks)

/** One exchange on an HTTP/2 session; rejects if the stream ends without an answer. */
export async function exchange(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<WireReply & { readonly trailers: Readonly<Record<string, string>> }> {
  const stream = session.request(headers, { endStream: body.length === 0 })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let head: Record<string, string> = {}
  let trailers: Record<string, string> = {}
  const chunks: Buffer[] = []
  stream.on('response', (got) => {
    head = got as unknown as Record<string, string>
  })
  stream.on('trailers', (got) => {
    trailers = got as unknown as Record<string, string>
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', reject)
  stream.on('close', () => resolve())
  if (body.length > 0) stream.end(body)
  await within(promise, `an answer to ${headers[':path']}`, ANSWER_WITHIN_MS)
  if (head[':status'] === undefined) throw new Error('the stream ended without an answer')
  const reply = toReply(
    Number(head[':status']),
    Object.entries(head).map(([k, v]) => [k, String(v)]),
    join(chunks),
  )
  return { ...reply, trailers }
}

function http2Door(session: ClientHttp2Session): Door {
  const call: Transport = (method, path, headers, body) =>
    exchange(session, { ':method': method, ':path': path, ...headers }, body)
  return { name: 'HTTP/2', kind: 'https', anyText: false, call }
}

/** Asks by id, so that many requests may be under way on one socket. */
function socketDoor(name: string, kind: Door['kind'], socket: RawSocket): Door {
  const gone = new Promise<never>((_, reject) => {
    socket.websocket.once('close', (code) => reject(new Error(`${name} was closed with ${code}`)))
  })
  gone.catch(() => {}) // whoever asks then is told
  const call: Transport = async (verb, path, headers, body) => {
    const lines = Object.entries(headers).map(([key, value]) => `${key}:${value}`)
    const asked = socket.ask(verb, path, lines, Buffer.from(body))
    const { status, headers: answered, body: bytes } = await Promise.race([asked, gone])
    const pairs = answered.map((line): [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1)]
    })
    return toReply(status, pairs, bytes)
  }
  return { name, kind, anyText: true, call }
}

export class Doors implements AsyncDisposable {
  readonly all: readonly Door[]
  readonly session: ClientHttp2Session
  readonly #close: () => Promise<void>

  private constructor(all: readonly Door[], session: ClientHttp2Session, close: () => Promise<void>) {
    this.all = all
    this.session = session
    this.#close = close
  }

  static async open(ready: Ready, device: Registered): Promise<Doors> {
    const ca = readFileSync(ready.tls.caPem)
    const http1 = openHttp1(ready, ca)
    const session = connect(ready.urls.chat, { ca })
    session.on('error', () => {}) // every call on it fails by itself
    const headers = { ...authorizationOf(device), 'x-signal-disable-messages': 'true' }
    const own = await RawSocket.open(ready, 2, { headers })
    const strange = await RawSocket.open(ready, 1)
    const all = [
      http1.door,
      http2Door(session),
      socketDoor("a device's websocket on HTTP/2", 'device-socket', own),
      socketDoor("a stranger's websocket on HTTP/1.1", 'anonymous-socket', strange),
    ]
    return new Doors(all, session, async () => {
      http1.close()
      await Promise.all([own.close(), strange.close()])
      session.close()
      if (!session.destroyed) await once(session, 'close')
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}
