// Requests with long bodies, up or down, on connections that stay open.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  request as requestHttp,
} from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { FilesJob } from '../job.ts'

export type FileAnswer = {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly bytes: number
}

const PIECE_BYTES = 256 * 1024

export class FileCalls {
  /** Of the connections, if they have one. */
  cipher: string | undefined
  private readonly origin: string
  private readonly agent: HttpAgent | HttpsAgent
  private readonly request: typeof requestHttp

  constructor({ origin, caPem, atOnce }: Pick<FilesJob, 'origin' | 'caPem' | 'atOnce'>) {
    const options = { keepAlive: true, maxSockets: atOnce }
    this.origin = origin
    const isPlain = caPem === undefined
    this.agent = isPlain ? new HttpAgent(options) : new HttpsAgent({ ...options, ca: readFileSync(caPem) })
    this.request = isPlain ? requestHttp : requestHttps
  }

  /** The target may be absolute; whatever its origin, this server is asked. What comes back is counted. */
  async call(
    method: string,
    target: string,
    headers: Readonly<Record<string, string | number>>,
    body?: Buffer,
  ): Promise<FileAnswer> {
    const { pathname, search } = new URL(target, this.origin)
    const asked = this.request(`${this.origin}${pathname}${search}`, { method, headers, agent: this.agent })
    const answered = once(asked, 'response') as Promise<[IncomingMessage]>
    await Promise.race([send(asked, body), answered])
    const [answer] = await answered
    const { socket } = answer
    this.cipher ??= 'getCipher' in socket ? (socket as TLSSocket).getCipher()?.standardName : undefined
    let bytes = 0
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    await once(answer, 'end')
    return { status: answer.statusCode!, headers: answer.headers, bytes }
  }

  close(): void {
    this.agent.destroy()
  }
}

/**
 * The last piece ends the request: an answer that comes while the request has bytes out but no end would leave it, and its connection, waiting for
 * an event that does not come.
 */
async function send(asked: ClientRequest, body: Buffer = Buffer.alloc(0)): Promise<void> {
  let at = 0
  for (; at + PIECE_BYTES < body.length; at += PIECE_BYTES)
    if (!asked.write(body.subarray(at, at + PIECE_BYTES))) await once(asked, 'drain')
  asked.end(body.subarray(at))
}
