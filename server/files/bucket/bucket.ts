// The bucket in our words: objects that know which upload made them, and uploads in parts.

import { passed } from '../../kit/passing-bytes.ts'
import type { Range, Stored } from '../file-store.ts'
import { isObjectKey } from '../object-key.ts'
import type { S3Client } from './s3-client.ts'
import { bodyOf, type S3Body } from './s3-exchange.ts'
import { S3Failure, unlessMissing } from './s3-failure.ts'
import { completionOf, elementsOf, textOf } from './s3-xml.ts'

export type Found = Stored & {
  /** Which upload made it, to tell whether one of whose end we were not told was successful. */
  readonly madeBy: string | undefined
}
export type Entry = { readonly key: string; readonly length: number; readonly storedAtMs: number }
export type UnfinishedParts = { readonly key: string; readonly id: string; readonly begunAtMs: number }
export type Put = {
  readonly key: string
  readonly madeBy: string
  /** An object that is there stays, where the bucket knows conditional writes. */
  readonly onlyNew: boolean
}

const MADE_BY = 'x-amz-meta-heliograph-upload'
const PAGE = 1000
const TYPE = { 'content-type': 'application/octet-stream' }

export class Bucket {
  readonly #client: S3Client
  /** Whether it takes `If-None-Match` with what is put; Swift does not. */
  #isConditional = true

  constructor(client: S3Client) {
    this.#client = client
  }

  close(): void {
    this.#client.close()
  }

  async find(key: string): Promise<Found | undefined> {
    const answer = await this.#client.call({ method: 'HEAD', key }).catch(unlessMissing)
    if (!answer) return undefined
    const { headers } = answer
    return {
      length: Number(headers['content-length']),
      etag: `"${(headers.etag ?? '').replace(/"/g, '')}"`,
      storedAtMs: Date.parse(headers['last-modified'] ?? ''),
      madeBy: headers[MADE_BY] as string | undefined,
    }
  }

  /** Goes on where it was if the line breaks. Fails if there is another version now. */
  async *read(key: string, { first, last }: Range, etag: string): AsyncGenerator<Uint8Array> {
    let failures = 0
    for (let at = first; at <= last; ) {
      const headers = { range: `bytes=${at}-${last}`, 'if-match': etag }
      const answer = await this.#client.stream({ method: 'GET', key, headers })
      try {
        for await (const chunk of answer as AsyncIterable<Uint8Array>) {
          at += chunk.length
          failures = 0
          yield chunk
          passed(chunk.length)
        }
      } catch (error) {
        if (++failures === MAX_BROKEN_READS) throw error
      }
    }
  }

  async put({ key, madeBy, onlyNew }: Put, body: S3Body, sha256: string): Promise<void> {
    await this.#conditionally(onlyNew, (condition) =>
      this.#client.call({
        ...{ method: 'PUT', key, body, sha256 },
        headers: { ...TYPE, [MADE_BY]: madeBy, ...condition },
      }),
    )
  }

  async beginParts({ key, madeBy }: Put): Promise<string> {
    const headers = { ...TYPE, [MADE_BY]: madeBy }
    const { text } = await this.#client.call({ method: 'POST', key, query: { uploads: '' }, headers })
    return textOf(text, 'UploadId') ?? fail()
  }

  /** Parts count from 1. Gives the part's tag. */
  async putPart(
    key: string,
    id: string,
    number: number,
    part: { body: S3Body; sha256: string; signal?: AbortSignal },
  ): Promise<string> {
    const query = { partNumber: String(number), uploadId: id }
    const { headers } = await this.#client.call({ method: 'PUT', key, query, ...part })
    return headers.etag ?? fail()
  }

  async completeParts({ key, onlyNew }: Put, id: string, etags: readonly string[]): Promise<void> {
    const body = bodyOf(completionOf(etags))
    await this.#conditionally(onlyNew, (headers) =>
      this.#client.call({
        method: 'POST',
        key,
        query: { uploadId: id },
        headers: { ...XML, ...headers },
        body,
      }),
    )
  }

  async abortParts(key: string, id: string): Promise<void> {
    await this.#client.call({ method: 'DELETE', key, query: { uploadId: id } }).catch(unlessMissing)
  }

  async delete(key: string): Promise<void> {
    await this.#client.call({ method: 'DELETE', key }).catch(unlessMissing)
  }

  /** Objects whose keys begin so, in order, after a key; with `isFlat`, none that has a slash behind it. */
  async *list(
    prefix: string,
    { after = '', isFlat = false, isOurs = isObjectKey } = {},
  ): AsyncGenerator<Entry> {
    const own = this.#client.prefix
    const query = {
      ...{ 'list-type': '2', prefix: own + prefix, 'max-keys': String(PAGE) },
      ...(after !== '' && { 'start-after': own + after }),
      ...(isFlat && { delimiter: '/' }),
    }
    let next: string | undefined
    do {
      const token = next === undefined ? {} : { 'continuation-token': next }
      const { text } = await this.#client.call({ method: 'GET', query: { ...query, ...token } })
      for (const entry of elementsOf(text, 'Contents')) {
        const key = (textOf(entry, 'Key') ?? '').slice(own.length)
        // Somebody else's, in the same bucket.
        if (isOurs(key)) yield entryOf(key, entry)
      }
      next = textOf(text, 'IsTruncated') === 'true' ? textOf(text, 'NextContinuationToken') : undefined
    } while (next !== undefined)
  }

  /** Inside the bucket; fails if there is another version now. */
  async copy(from: string, etag: string, { key, madeBy }: Omit<Put, 'onlyNew'>): Promise<void> {
    const headers = {
      'x-amz-copy-source': this.#client.copySource(from),
      'x-amz-copy-source-if-match': etag,
      'x-amz-metadata-directive': 'REPLACE',
      ...{ ...TYPE, [MADE_BY]: madeBy },
    }
    await this.#client.call({ method: 'PUT', key, headers })
  }

  /** Exactly so many bytes: the length is signed. */
  addressToPut(key: string, length: number, validMs: number): Promise<string> {
    const headers = { 'content-length': String(length) }
    return this.#client.presign({ method: 'PUT', key, headers }, validMs / 1000)
  }

  addressToGet(key: string, validMs: number): Promise<string> {
    const query = { 'response-content-disposition': 'attachment' }
    return this.#client.presign({ method: 'GET', key, query }, validMs / 1000)
  }

  async unfinished(): Promise<UnfinishedParts[]> {
    const own = this.#client.prefix
    const found: UnfinishedParts[] = []
    let markers: Record<string, string> | undefined = {}
    while (markers) {
      const query: Record<string, string> = { uploads: '', prefix: own, ...markers }
      const { text } = await this.#client.call({ method: 'GET', query })
      for (const entry of elementsOf(text, 'Upload')) {
        const key = (textOf(entry, 'Key') ?? '').slice(own.length)
        const begunAtMs = Date.parse(textOf(entry, 'Initiated') ?? '')
        if (isObjectKey(key)) found.push({ key, id: textOf(entry, 'UploadId') ?? fail(), begunAtMs })
      }
      markers = markersOf(text)
    }
    return found
  }

  async #conditionally<T>(
    onlyNew: boolean,
    act: (headers: Readonly<Record<string, string>>) => Promise<T>,
  ): Promise<T> {
    if (!onlyNew || !this.#isConditional) return act({})
    return act({ 'if-none-match': '*' }).catch((error) => {
      if (!(error instanceof S3Failure && error.status === 501)) throw error
      this.#isConditional = false
      return act({})
    })
  }
}

const XML = { 'content-type': 'application/xml' }
const MAX_BROKEN_READS = 5

const entryOf = (key: string, entry: string): Entry => ({
  key,
  length: Number(textOf(entry, 'Size')),
  storedAtMs: Date.parse(textOf(entry, 'LastModified') ?? ''),
})

function markersOf(text: string): Record<string, string> | undefined {
  if (textOf(text, 'IsTruncated') !== 'true') return undefined
  return {
    'key-marker': textOf(text, 'NextKeyMarker') ?? '',
    'upload-id-marker': textOf(text, 'NextUploadIdMarker') ?? '',
  }
}

function fail(): never {
  throw new S3Failure(502, 'IncompleteAnswer')
}
