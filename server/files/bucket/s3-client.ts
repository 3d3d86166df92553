// Requests to a bucket, signed (AWS Signature Version 4, by aws4fetch), and tried again where that can help.
import type { IncomingMessage } from 'node:http'
import { AwsV4Signer } from 'aws4fetch'
import type { Clock } from '../../kit/clock.ts'
import { FileRefusal } from '../file-store.ts'
import { type S3Access, urlOf } from './s3-access.ts'
import { type S3Body, S3Lines, textOfAnswer } from './s3-exchange.ts'
import { failureOf, refusalOf, S3Failure } from './s3-failure.ts'

export type S3Request = {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Of an object of ours, before the prefix; of the bucket if not given. */
  readonly key?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: S3Body
  /** Hexadecimal, of the body: the bucket refuses another one. */
  readonly sha256?: string
  readonly signal?: AbortSignal | undefined
}

export type S3Answer = {
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

export type S3ClientOptions = {
  readonly access: S3Access
  readonly clock: Clock
  /** Something went wrong with the bucket; `code` is S3's. */
  readonly onTrouble?: (code: string) => void
}

const ATTEMPTS = 5
const FIRST_PAUSE_MS = 100
/** After that nothing is tried again: somebody waits. */
const TRY_WITHIN_MS = 20_000

export class S3Client {
  readonly #options: S3ClientOptions
  readonly #lines: S3Lines
  /** Keys of a day and a region. */
  readonly #keys = new Map<string, ArrayBuffer>()

  constructor(options: S3ClientOptions) {
    this.#options = options
    this.#lines = new S3Lines(options.access.caPem)
  }

  close(): void {
    this.#lines.close()
  }

  /** Throws `S3Failure` for what the bucket means, `FileRefusal` (`unavailable`, `full`) for what it cannot do. */
  async call(request: S3Request): Promise<S3Answer> {
    return this.#retried(request, async (answer) => {
      const text = await textOfAnswer(answer)
      const failure = failureOf(answer.statusCode!, text)
      if (failure) throw failure
      return { headers: answer.headers, text }
    })
  }

  /** As `call`, with the body as it comes. */
  async stream(request: S3Request): Promise<IncomingMessage> {
    return this.#retried(request, async (answer) => {
      if (answer.statusCode! >= 300) throw failureOf(answer.statusCode!, await textOfAnswer(answer))
      return answer
    })
  }

  /** What the bucket itself says to us: 200, 404, 403; nothing if it is away. */
  async probe(): Promise<number | undefined> {
    const answer = await this.#once({ method: 'HEAD' }).catch(() => undefined)
    answer?.resume()
    return answer?.statusCode
  }

  /** An address with which whoever has it may make this request for so long, with exactly these headers. */
  async presign({ method, key, query, headers = {} }: S3Request, expiresInS: number): Promise<string> {
    const url = this.#url(key, { ...query, 'X-Amz-Expires': String(expiresInS) })
    const signed = await this.#sign(method, url, headers, { signQuery: true, allHeaders: true })
    return signed.url.href
  }

  /** `/<bucket>/<key>`, as `x-amz-copy-source` wants it. */
  copySource(key: string): string {
    const { bucket, prefix = '' } = this.#options.access
    return `/${bucket}/${prefix}${key}`
  }

  get prefix(): string {
    return this.#options.access.prefix ?? ''
  }

  async #retried<T>(request: S3Request, read: (answer: IncomingMessage) => Promise<T>): Promise<T> {
    const { clock, onTrouble } = this.#options
    const startedAtMs = clock.steadyMs()
    for (let attempt = 1; ; attempt++) {
      try {
        return await read(await this.#once(request))
      } catch (error) {
        if (request.signal?.aborted) throw new FileRefusal('displaced')
        const failure = asFailure(error)
        if (!failure.isPassing && !isTrouble(failure)) throw failure
        onTrouble?.(failure.code || String(failure.status))
        const isLast = attempt === ATTEMPTS || clock.steadyMs() - startedAtMs > TRY_WITHIN_MS
        if (isLast || !failure.isPassing) throw refusalOf(failure)
        await this.#pause(FIRST_PAUSE_MS * 2 ** (attempt - 1))
      }
    }
  }

  async #once({
    method,
    key,
    query = {},
    headers = {},
    body,
    sha256,
    signal,
  }: S3Request): Promise<IncomingMessage> {
    const signed = await this.#sign(method, this.#url(key, query), {
      ...headers,
      ...(sha256 && { 'x-amz-content-sha256': sha256 }),
    })
    const exchange = { method, url: signed.url, headers: Object.fromEntries(signed.headers), body, signal }
    return this.#lines.exchange(exchange)
  }

  #sign(
    method: string,
    url: URL,
    headers: Readonly<Record<string, string>>,
    how: { signQuery?: boolean; allHeaders?: boolean } = {},
  ) {
    const { access, clock } = this.#options
    const { accessKeyId, secretAccessKey, region } = access
    const datetime = new Date(clock.nowMs()).toISOString().replace(/[:-]|\.\d{3}/g, '')
    return new AwsV4Signer({
      ...{ method, url: url.href, headers: { ...headers }, datetime, cache: this.#keys, ...how },
      ...{ accessKeyId, secretAccessKey, region, service: 's3' },
    }).sign()
  }

  #url(key: string | undefined, query: Readonly<Record<string, string>>): URL {
    const url = urlOf(this.#options.access, key === undefined ? '' : this.prefix + key)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return url
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve))
  }
}

/** A line that broke is like a bucket that is away. */
const asFailure = (error: unknown): S3Failure =>
  error instanceof S3Failure ? error : new S3Failure(503, (error as NodeJS.ErrnoException).code ?? 'Broken')

/** Not about the object: the bucket, or what we may do there, is not as configured; or there is no room. */
const isTrouble = (failure: S3Failure): boolean =>
  failure.isFull || [301, 307, 401, 403].includes(failure.status) || failure.code === 'NoSuchBucket'
