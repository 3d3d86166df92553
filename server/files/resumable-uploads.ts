// CDN 2: resumable uploads as Google's store has them (docs/protocol/files-cdn.md). A signed POST opens an upload, and
// is told the address where the bytes are PUT, in as many requests as it takes.
import type { StreamReply } from '../kit/streaming.ts'
import type { UploadSignatures } from '../kit/upload-signatures.ts'
import { atMost } from './bounded.ts'
import { type ContentRange, contentRangeOf } from './content-range.ts'
import type { FileEvents } from './events.ts'
import { bare, type FileRequest } from './exchange.ts'
import type { FileStore, Upload } from './file-store.ts'

export type ResumableUploadsOptions = {
  readonly store: FileStore
  readonly signatures: UploadSignatures
  readonly events: FileEvents
  /** Where clients find CDN 2. */
  readonly url: () => string
}

const PATH = /^\/(attachments\/[\w-]{1,64})$/

export class ResumableUploads {
  readonly #options: ResumableUploadsOptions

  constructor(options: ResumableUploadsOptions) {
    this.#options = options
  }

  /** Undefined if no such request is meant for here. */
  answer(request: FileRequest): Promise<StreamReply> | undefined {
    const key = PATH.exec(request.path)?.[1]
    if (key === undefined) return undefined
    if (request.method === 'POST') return this.#open(request, key)
    return request.method === 'PUT' ? this.#put(request, key) : undefined
  }

  async #open({ path, query, headers }: FileRequest, key: string): Promise<StreamReply> {
    const { store, signatures, url } = this.#options
    const allowed = signatures.verifyAddress('POST', path, query)
    // Google signs these headers: another value is another request than the one that was allowed.
    const isAsSigned =
      headers['x-goog-resumable'] === 'start' &&
      headers['x-goog-content-length-range'] === `1,${allowed?.maxBytes}`
    if (!allowed || !isAsSigned) return bare(403)
    if ((headers['content-length'] ?? '0') !== '0') return bare(400)
    if (await store.stat(key)) return bare(409)
    const { maxBytes } = allowed
    const elsewhere = await this.#elsewhere(key, headers['x-upload-content-length'], maxBytes)
    if (elsewhere) return bare(201, { Location: elsewhere })
    // Whoever asks again goes on where they were.
    if (!(await store.resume(key))) await store.begin(key, maxBytes)
    const signed = signatures.addressQuery({ method: 'PUT', path, maxBytes })
    return bare(201, { Location: `${url()}${path}?${signed}` })
  }

  /** For who says how long the file is, as Google's clients may; Signal's do not, and ask how far they are. */
  async #elsewhere(key: string, length: string | undefined, maxBytes: number): Promise<string | undefined> {
    if (length === undefined || !/^[1-9]\d{0,14}$/.test(length) || Number(length) > maxBytes) return undefined
    return this.#options.store.addresses?.toPut(key, Number(length))
  }

  async #put(request: FileRequest, key: string): Promise<StreamReply> {
    const { store, signatures } = this.#options
    const allowed = signatures.verifyAddress('PUT', request.path, request.query)
    if (!allowed) return bare(403)
    const range = contentRangeOf(request.headers['content-range'])
    if (!range) return bare(400)
    const stored = await store.stat(key)
    if (stored) {
      const isAsked = range.kind === 'question' && range.totalBytes === stored.length
      return isAsked ? bare(200, { ETag: stored.etag }) : bare(409)
    }
    const upload = await store.resume(key)
    if (!upload) return bare(404)
    return range.kind === 'whole'
      ? this.#takeWhole(upload, request, allowed.maxBytes)
      : this.#takePart(upload, request, range, allowed.maxBytes)
  }

  async #takeWhole(upload: Upload, { headers, body }: FileRequest, maxBytes: number): Promise<StreamReply> {
    if (upload.offset !== 0) return bare(416, progress(upload.offset))
    if (Number(headers['content-length'] ?? 0) > maxBytes) return bare(413)
    const offset = await upload.append(body)
    return offset === 0 ? bare(400) : this.#finish(upload)
  }

  async #takePart(
    upload: Upload,
    { body }: FileRequest,
    range: Exclude<ContentRange, { kind: 'whole' }>,
    maxBytes: number,
  ): Promise<StreamReply> {
    const { totalBytes } = range
    if (totalBytes === 0) return bare(400)
    if ((totalBytes ?? 0) > maxBytes) return bare(413)
    if (totalBytes !== undefined && (await contradicts(upload, totalBytes))) return bare(400)
    let { offset } = upload
    if (range.kind === 'part') {
      if (range.firstByte !== offset) return bare(416, progress(offset))
      offset = await upload.append(atMost(body, range.bytes))
    }
    return offset === totalBytes ? this.#finish(upload) : bare(308, progress(offset))
  }

  async #finish(upload: Upload): Promise<StreamReply> {
    const { etag, length } = await upload.finish()
    this.#options.events.uploaded(length)
    return bare(200, { ETag: etag })
  }
}

async function contradicts(upload: Upload, totalBytes: number): Promise<boolean> {
  if (upload.length !== undefined) return upload.length !== totalBytes
  if (totalBytes < upload.offset) return true
  await upload.declare(totalBytes)
  return false
}

/** Nothing is said of nothing: no range is empty. */
const progress = (offset: number): Record<string, string> =>
  offset === 0 ? {} : { Range: `bytes=0-${offset - 1}` }
