// gRPC without libsignal: for calls that it would never make, and for the details of a failure.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2'
import type { Ready } from '../../server/up.ts'
import { BadRequest, ErrorInfo, RetryInfo, Status } from '../../wire/gen/rpc.js'
import type { AnyCodec, InitOf, MessageOf, Rpc } from '../../wire/service.ts'
import { framed, GrpcStream } from './grpc-stream.ts'

export type Answer<Reply> = {
  readonly code: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** There if the code is 0. */
  readonly reply: Reply | undefined
  readonly reason: string | undefined
  readonly domain: string | undefined
  /** The fields that broke the contract. */
  readonly fields: readonly string[]
  readonly retryAfterSeconds: number | undefined
}

const PREFIX_BYTES = 5

export class GrpcClient implements AsyncDisposable {
  readonly #session: ClientHttp2Session

  private constructor(session: ClientHttp2Session) {
    this.#session = session
  }

  static open({ urls, tls }: Ready): GrpcClient {
    const session = connect(urls.chat, { ca: readFileSync(tls.caPem) })
    session.on('error', () => {}) // every call on it fails by itself
    return new GrpcClient(session)
  }

  async call<Request extends AnyCodec, Response extends AnyCodec>(
    rpc: Pick<Rpc<Request, Response>, 'path' | 'request' | 'response'>,
    message: InitOf<Request>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<MessageOf<Response>>> {
    const { head, trailers, body } = await this.#exchange(
      rpc.path,
      rpc.request.encode(message).finish(),
      headers,
    )
    const final = { ...head, ...trailers }
    const code = Number(final['grpc-status'])
    const reply = code === 0 ? rpc.response.decode(body.subarray(PREFIX_BYTES)) : undefined
    return { code, headers: final as Answer<unknown>['headers'], reply, ...detailsOf(final) }
  }

  /** Opens a call that streams. */
  stream<Request extends AnyCodec, Response extends AnyCodec>(
    rpc: Pick<Rpc<Request, Response>, 'path' | 'request' | 'response'>,
    headers: Readonly<Record<string, string>> = {},
  ): GrpcStream<Request, Response> {
    return new GrpcStream(this.#session, rpc, headers)
  }

  async #exchange(path: string, message: Uint8Array, headers: Readonly<Record<string, string>>) {
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    let trailers: IncomingHttpHeaders = {}
    stream.on('trailers', (received) => {
      trailers = received
    })
    const answered = once(stream, 'response') as Promise<[IncomingHttpHeaders]>
    stream.end(framed(message))
    const [head] = await answered
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    return { head, trailers, body: Buffer.concat(chunks) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#session.destroyed) return
    const closed = once(this.#session, 'close')
    // Not by `close`, which waits for streams that a test left unread.
    this.#session.destroy()
    await closed
  }
}

export function detailsOf(headers: IncomingHttpHeaders) {
  const encoded = headers['grpc-status-details-bin']
  const status = Status.decode(Buffer.from(String(encoded ?? ''), 'base64'))
  const find = (name: string) =>
    status.details.find(({ type_url }) => type_url.endsWith(`google.rpc.${name}`))
  const [info, bad, retry] = [find('ErrorInfo'), find('BadRequest'), find('RetryInfo')]
  const error = info && ErrorInfo.decode(info.value)
  return {
    reason: error?.reason,
    domain: error?.domain,
    fields: bad ? BadRequest.decode(bad.value).fieldViolations.map(({ field }) => field) : [],
    retryAfterSeconds: retry ? Number(RetryInfo.decode(retry.value).retryDelay?.seconds) : undefined,
  }
}
