// Requests with bodies that can be cut off in the middle, or made as they are sent, over either version of HTTP.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2, constants, type IncomingHttpHeaders } from 'node:http2'
import { request } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Ready } from '../../server/up.ts'
import type { HttpVersion } from './net.ts'

export type Told = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: AsyncIterable<Buffer>
}

export type Sending = {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
}

export class Line {
  readonly #ca: Buffer
  readonly #httpVersion: HttpVersion

  constructor({ tls }: Pick<Ready, 'tls'>, httpVersion: HttpVersion) {
    this.#ca = readFileSync(tls.caPem)
    this.#httpVersion = httpVersion
  }

  /** Sends a body as it comes, and hands over the answer's as it comes. The connection ends with the answer. */
  async send(sending: Sending, body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Told> {
    const { stream, told, close } = await this.#open(sending)
    const sent = pipeline(Readable.from(body), stream, { end: true })
    sent.catch(() => {})
    const { status, headers, source } = await told
    return {
      status,
      headers,
      body: (async function* () {
        yield* source
        close()
      })(),
    }
  }

  /** Sends some bytes of a body that was to be longer, and hangs up as soon as they have left. */
  async breakOff(sending: Sending, bytes: Uint8Array): Promise<void> {
    const { stream, told, hangUp } = await this.#open(sending)
    told.catch(() => {})
    stream.on('error', () => {}) // of the line that is cut here
    const left = new Promise<void>((resolve) => stream.on('close', () => resolve()))
    stream.write(bytes, () => hangUp())
    await left
  }

  #open(sending: Sending) {
    return this.#httpVersion === 1 ? this.#open1(sending) : this.#open2(sending)
  }

  #open1({ method, url, headers }: Sending) {
    const stream = request(url, { method, headers, ca: this.#ca, agent: false })
    const told = once(stream, 'response').then(([response]) => ({
      status: response.statusCode as number,
      headers: response.headers as IncomingHttpHeaders,
      source: response as AsyncIterable<Buffer>,
    }))
    return { stream, told, close: () => stream.destroy(), hangUp: () => stream.destroy() }
  }

  async #open2({ method, url, headers }: Sending) {
    const session = connectHttp2(url.origin, { ca: this.#ca })
    session.on('error', () => {})
    await once(session, 'connect')
    const stream = session.request({ ':method': method, ':path': url.pathname + url.search, ...headers })
    stream.on('close', () => session.close())
    const lost = new Promise<never>((_, reject) => {
      stream.on('close', () => reject(new Error('the stream closed')))
    })
    const told = Promise.race([once(stream, 'response'), lost]).then(([head]) => ({
      status: head[':status'] as number,
      headers: head as IncomingHttpHeaders,
      source: stream as AsyncIterable<Buffer>,
    }))
    const hangUp = () => stream.close(constants.NGHTTP2_CANCEL)
    return { stream, told, close: () => session.close(), hangUp }
  }
}
