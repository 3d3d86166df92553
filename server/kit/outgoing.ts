// Requests that we make of other servers: one try, no redirect followed, a bounded answer, and it is known whether they
// can have arrived.
import http from 'node:http'
import https from 'node:https'
import type { LookupFunction } from 'node:net'

export type Outgoing = {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  readonly timeoutMs: number
  /** Certificates (PEM) of the authorities that are believed; the host's unless told. */
  readonly ca?: string | undefined
  /** What names mean; the host's resolver unless told. It is not asked about addresses. */
  readonly lookup?: LookupFunction
}

export type OutgoingAnswer = {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** At most 64 KiB of it. */
  readonly body: string
}

/** No answer came. It has no words of anybody's, only a name like `ECONNREFUSED`. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  readonly code: string
  /** The other server may have got the request, and may have done what it asks for. */
  readonly mayHaveArrived: boolean

  constructor(code: string, mayHaveArrived: boolean) {
    super(code)
    this.code = code
    this.mayHaveArrived = mayHaveArrived
  }
}

const MAX_ANSWER_BYTES = 65_536

/** Asks once, on a connection of its own. Rejects with `NoAnswer`. */
export function ask({
  method,
  url,
  headers,
  body,
  timeoutMs,
  ca,
  lookup,
}: Outgoing): Promise<OutgoingAnswer> {
  const target = new URL(url)
  const secure = target.protocol === 'https:'
  return new Promise((resolve, reject) => {
    let connected = false
    const timeout = AbortSignal.timeout(timeoutMs)
    const failed = (error: NodeJS.ErrnoException) =>
      reject(new NoAnswer(timeout.aborted ? 'TIMEOUT' : (error.code ?? 'ERROR'), connected))
    const length = String(Buffer.byteLength(body))
    const request = (secure ? https : http).request(target, {
      method,
      headers: { ...headers, 'Content-Length': length },
      agent: false,
      signal: timeout,
      ...(ca !== undefined && { ca }),
      ...(lookup && { lookup }),
    })
    request.on('error', failed)
    request.once('socket', (socket) =>
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        connected = true
      }),
    )
    request.once('response', (response) => {
      const parts: Buffer[] = []
      let bytes = 0
      const done = () => {
        const text = Buffer.concat(parts).subarray(0, MAX_ANSWER_BYTES).toString('utf8')
        resolve({ status: response.statusCode ?? 0, headers: textHeaders(response.headers), body: text })
        request.destroy()
      }
      response.on('data', (part: Buffer) => {
        parts.push(part)
        bytes += part.length
        if (bytes >= MAX_ANSWER_BYTES) done()
      })
      response.on('error', failed)
      response.once('end', done)
    })
    request.end(body)
  })
}

const textHeaders = (headers: http.IncomingHttpHeaders): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value?.toString()]))

/** Seconds of a `Retry-After` that counts them (RFC 9110 §10.2.3); nothing if it is a date, or none. */
export function retryAfterSeconds(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : undefined
}
