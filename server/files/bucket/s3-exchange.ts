// One request to a bucket and its answer, over connections that are kept.
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A body that can be sent again. */
export type S3Body = { readonly bytes: number; open(): Readable }

export const bodyOf = (text: string | Uint8Array): S3Body => {
  const bytes = Buffer.from(text as string)
  return { bytes: bytes.length, open: () => Readable.from(bytes.length > 0 ? [bytes] : []) }
}

export type S3Exchange = {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: S3Body | undefined
  readonly signal?: AbortSignal | undefined
}

/** A connection on which nothing moves for so long is given up. */
const STALL_MS = 20_000
const MAX_SOCKETS = 128

export class S3Lines {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS })
  readonly #https: HttpsAgent

  constructor(caPem: string | undefined) {
    this.#https = new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS, ...(caPem && { ca: caPem }) })
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  /** Resolves when the head of the answer is there. Rejects if the line breaks, stalls, or `signal` says so. */
  exchange({ method, url, headers, body, signal }: S3Exchange): Promise<IncomingMessage> {
    const isTls = url.protocol === 'https:'
    const options = {
      ...{ method, headers: { ...headers, 'content-length': String(body?.bytes ?? 0) } },
      ...{ agent: isTls ? this.#https : this.#http, timeout: STALL_MS },
      ...(signal && { signal }),
    }
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const request = (isTls ? requestHttps : requestHttp)(url, options)
    request.once('response', resolve)
    request.once('timeout', () => request.destroy(new Error('the bucket is silent')))
    // Later ones are the answer's: who reads it hears of them.
    request.on('error', reject)
    if (body && body.bytes > 0) pipeline(body.open(), request).catch(reject)
    else request.end()
    return promise
  }
}

export async function textOfAnswer(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
