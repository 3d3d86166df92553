// Plain HTTPS requests, byte for byte what a test says, over either version of HTTP.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import { Agent, request } from 'node:https'
import type { Ready, UrlName } from '../../server/up.ts'
import type { HttpVersion } from './net.ts'
import type { Registered } from './register.ts'
import { type Reply, toReply } from './rest.ts'

export type Call = {
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  readonly body?: Uint8Array | string
}

export const basic = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

/** The credentials of a device as a header. */
export const authorizationOf = ({ aci, deviceId, password }: Registered) => ({
  authorization: basic(`${aci.getServiceIdString()}.${deviceId}`, password),
})

export abstract class Https implements AsyncDisposable {
  static open({ urls, tls }: Ready, httpVersion: HttpVersion, role: UrlName = 'chat'): Https {
    const ca = readFileSync(tls.caPem)
    return httpVersion === 1 ? new Https1(urls[role], ca) : new Https2(urls[role], ca)
  }

  call(method: string, path: string, { headers = {}, json, body }: Call = {}): Promise<Reply> {
    const type = json === undefined ? {} : { 'content-type': 'application/json' }
    const bytes = json === undefined ? Buffer.from(body ?? '') : Buffer.from(JSON.stringify(json))
    return this.exchange(method, path, { ...type, ...headers }, bytes)
  }

  protected abstract exchange(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
  ): Promise<Reply>
  abstract [Symbol.asyncDispose](): Promise<void>
}

async function gather(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const textHeaders = (headers: IncomingHttpHeaders): [string, string][] =>
  Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))

class Https1 extends Https {
  readonly #origin: string
  readonly #agent: Agent

  constructor(origin: string, ca: Buffer) {
    super()
    this.#origin = origin
    this.#agent = new Agent({ ca, keepAlive: true, ALPNProtocols: ['http/1.1'] })
  }

  protected override exchange(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = request(
        new URL(path, this.#origin),
        { method, headers, agent: this.#agent },
        (response) => {
          gather(response).then(
            (bytes) => resolve(toReply(response.statusCode!, textHeaders(response.headers), bytes)),
            reject,
          )
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy()
  }
}

class Https2 extends Https {
  readonly #session: ClientHttp2Session

  constructor(origin: string, ca: Buffer) {
    super()
    this.#session = connect(origin, { ca })
    this.#session.on('error', () => {}) // every call on it fails by itself
  }

  protected override async exchange(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
  ): Promise<Reply> {
    const asked = { ':method': method, ':path': path, ...headers }
    const stream = this.#session.request(asked, { endStream: body.length === 0 })
    // Listened to from the start: who begins to read a stream that has ended by then gets nothing.
    const chunks: Buffer[] = []
    let head: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined
    stream.on('response', (got) => {
      head = got
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const ended = Promise.race([once(stream, 'end'), once(stream, 'close')])
    if (body.length > 0) stream.end(body)
    await ended
    if (!head || !stream.readableEnded) throw new Error('the stream ended without an answer')
    return toReply(Number(head[':status']), textHeaders(head), Buffer.concat(chunks))
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.#session.destroyed) return
    const closed = once(this.#session, 'close')
    this.#session.close()
    await closed
  }
}
