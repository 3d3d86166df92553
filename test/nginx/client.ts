// Requests whose targets go out as they are written, over connections that are kept.
import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { Readable } from 'node:stream'

export type Asked = {
  readonly method: string
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  /** Pieces go without a length; with `expect` in the headers they wait for the server to want them. */
  readonly body?: Buffer | AsyncIterable<Buffer>
}
export type Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Whether the server asked for the body (`100 Continue`). */
  readonly wasWanted: boolean
}

export class Client {
  readonly #agent: Agent
  readonly #port: number

  constructor(port: number, ca: Buffer) {
    this.#port = port
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: 64, servername: 'localhost' })
  }

  /** Whatever is under way breaks; what is asked then goes over new connections. */
  close(): void {
    this.#agent.destroy()
  }

  async ask({ method, target, headers = {}, body }: Asked): Promise<Answer> {
    const isWhole = body === undefined || Buffer.isBuffer(body)
    const length = isWhole ? { 'content-length': String(body?.length ?? 0) } : {}
    const waits = 'expect' in headers
    const asked = request({
      ...{ host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path: target },
      headers: { ...length, ...headers },
    })
    const answered = once(asked, 'response')
    answered.catch(() => {})
    let wasWanted = false
    const send = () => (isWhole ? asked.end(body) : Readable.from(body).pipe(asked))
    asked.on('continue', () => {
      wasWanted = true
      send()
    })
    if (waits) asked.flushHeaders()
    else send()
    const [response] = await answered
    // A server that does not want a body may hang up on it.
    asked.on('error', () => {})
    const gathered = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>))
    if (waits && !wasWanted) asked.destroy()
    return { status: response.statusCode, headers: response.headers, body: gathered, wasWanted }
  }
}
