// One object by one PUT to a signed address: for `curl -T` (docs/protocol/files-plain.md).
import type { Clock } from '../kit/clock.ts'
import { plainKeysOf, verifyPlainAddress } from '../kit/plain-addresses.ts'
import type { StreamReply } from '../kit/streaming.ts'
import type { UploadKeyRing } from '../kit/upload-keys.ts'
import type { FileEvents } from './events.ts'
import { bare, type FileRequest } from './exchange.ts'
import type { FileStore } from './file-store.ts'
import { storeWhole } from './whole-upload.ts'

export type PlainUploadsOptions = {
  readonly store: FileStore
  readonly keys: UploadKeyRing
  readonly clock: Clock
  readonly events: FileEvents
}

const PATH = /^\/plain\/([^/]+)$/

export class PlainUploads {
  readonly #options: PlainUploadsOptions

  constructor(options: PlainUploadsOptions) {
    this.#options = options
  }

  /** Undefined if no such request is meant for here. */
  answer(request: FileRequest): Promise<StreamReply> | undefined {
    const name = PATH.exec(request.path)?.[1]
    // Downloads are elsewhere and need no signature; every other method is one that was not signed.
    if (name === undefined || request.method === 'GET' || request.method === 'HEAD') return undefined
    return this.#put(request, name)
  }

  async #put({ method, query, headers, body }: FileRequest, name: string): Promise<StreamReply> {
    const { store, keys, clock, events } = this.#options
    const secrets = plainKeysOf(keys.verifying(clock.nowMs()))
    const maxBytes = verifyPlainAddress(secrets, clock, { method, name, query })
    if (maxBytes === undefined || method !== 'PUT') return bare(403)
    if (headers['content-range'] !== undefined || headers['content-length'] === '0') return bare(400)
    if (Number(headers['content-length'] ?? 0) > maxBytes) return bare(413)
    const key = `attachments/${name}`
    const bytes = Number(headers['content-length'] ?? 0)
    const elsewhere = bytes > 0 && (await store.addresses?.toPut(key, bytes))
    if (elsewhere) return bare(307, { Location: elsewhere, 'Cache-Control': 'no-store' })
    const upload = { key, minBytes: 1, maxBytes, source: body }
    const { etag, length } = await storeWhole(store, upload)
    events.uploaded(length)
    return bare(201, { ETag: etag })
  }
}
