// TUS 1.0.0 (https://tus.io/protocols/resumable-upload), as clients upload to CDN 3: each upload bound to its token.
import type { Clock } from '../../kit/clock.ts'
import type { FileUrls } from '../../kit/file-urls.ts'
import type { StreamReply } from '../../kit/streaming.ts'
import type { UploadSignatures } from '../../kit/upload-signatures.ts'
import { ABANDONED_AFTER_MS } from '../disk/disk-store.ts'
import type { FileEvents } from '../events.ts'
import { bare, type FileRequest } from '../exchange.ts'
import type { FileStore, Upload } from '../file-store.ts'
import { appendChecked } from './checked.ts'
import { type Audience, keyOf, type Permission, permissionOf } from './permission.ts'
import {
  CHECKSUM_ALGORITHMS,
  CHUNK_TYPE,
  checksum,
  filename,
  integer,
  MalformedHeader,
  TUS_VERSION,
  uploadLength,
} from './tus-headers.ts'

export type TusOptions = {
  readonly store: FileStore
  readonly signatures: UploadSignatures
  readonly urls: () => FileUrls
  readonly clock: Clock
  readonly events: FileEvents
}

const PATH = /^\/upload\/(attachments|backups)(?:\/(.+))?$/
const ABOUT = {
  'Tus-Version': TUS_VERSION,
  'Tus-Extension': 'creation,creation-with-upload,creation-defer-length,checksum,expiration',
  'Tus-Checksum-Algorithm': CHECKSUM_ALGORITHMS.join(','),
}

const reply = (status: number, headers: Readonly<Record<string, string>> = {}): StreamReply =>
  bare(status, { 'Tus-Resumable': TUS_VERSION, 'Cache-Control': 'no-store', ...headers })

export class Tus {
  readonly #options: TusOptions

  constructor(options: TusOptions) {
    this.#options = options
  }

  /** Nothing for what is not below `/upload`. */
  answer(request: FileRequest): Promise<StreamReply> | undefined {
    const match = PATH.exec(request.path)
    return match ? this.#serve(request, match[1] as Audience, match[2]) : undefined
  }

  async #serve(request: FileRequest, audience: Audience, name: string | undefined): Promise<StreamReply> {
    const { method, headers } = request
    if (method === 'OPTIONS') return reply(204, ABOUT)
    const allowed = name === undefined ? ['POST'] : ['HEAD', 'PATCH']
    if (!allowed.includes(method)) return reply(405, { Allow: ['OPTIONS', ...allowed].join(', ') })
    // Signal's clients do not send it everywhere, and their server does not ask for it.
    if ((headers['tus-resumable'] ?? TUS_VERSION) !== TUS_VERSION)
      return reply(412, { 'Tus-Version': TUS_VERSION })
    const permission = permissionOf(this.#options.signatures, audience, headers)
    if (typeof permission === 'number') return reply(permission)
    try {
      if ((name ?? filename(headers)) !== permission.subject) return reply(403)
      if (method === 'POST') return await this.#create(request, permission)
      return await (method === 'HEAD' ? this.#tell(permission) : this.#append(request, permission))
    } catch (error) {
      if (error instanceof MalformedHeader) return reply(400)
      throw error
    }
  }

  async #create({ headers, body }: FileRequest, permission: Permission): Promise<StreamReply> {
    const { store, urls } = this.#options
    const length = uploadLength(headers)
    const digest = checksum(headers)
    // Signal's clients say it of the whole file; of a part it can be said where the part is sent.
    if (digest && digest.algorithm !== 'sha256') return reply(400)
    const type = headers['content-type']
    const bytes = integer(headers, 'content-length') ?? 0
    if (type === undefined ? bytes > 0 : type !== CHUNK_TYPE) return reply(415)
    const most = length === 'deferred' ? permission.maxBytes : length
    if (most > permission.maxBytes || bytes > most) return reply(413)
    const upload = await store.begin(keyOf(permission), permission.maxBytes, {
      length: length === 'deferred' ? undefined : length,
      replaces: permission.audience === 'backups',
      sha256: digest?.digest,
    })
    if (type !== undefined) await upload.append(body)
    const { offset } = upload
    await this.#finishIfWhole(upload)
    return reply(201, {
      Location: `${urls().cdn3}/upload/${keyOf(permission)}`,
      'Upload-Offset': String(offset),
      ...this.#expires(),
    })
  }

  async #tell(permission: Permission): Promise<StreamReply> {
    const { store } = this.#options
    const upload = await this.#unfinished(permission)
    const stored = upload ? undefined : await store.stat(keyOf(permission))
    if (!upload && !stored) return reply(404)
    const offset = upload?.offset ?? stored?.length
    const length = upload ? upload.length : stored?.length
    return reply(200, {
      'Upload-Offset': String(offset),
      ...(length === undefined ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(length) }),
      ...(upload && this.#expires()),
    })
  }

  async #append({ headers, body }: FileRequest, permission: Permission): Promise<StreamReply> {
    const { store } = this.#options
    if (headers['content-type'] !== CHUNK_TYPE) return reply(415)
    const from = integer(headers, 'upload-offset')
    const length = integer(headers, 'upload-length')
    const digest = checksum(headers)
    if (from === undefined || length === 0) return reply(400)
    const upload = await this.#unfinished(permission)
    if (!upload) return reply((await store.stat(keyOf(permission))) ? 409 : 404)
    if (upload.offset !== from) return reply(409)
    if (length !== undefined) await upload.declare(length)
    const most = Math.min(upload.length ?? upload.maxBytes, permission.maxBytes)
    if (from + (integer(headers, 'content-length') ?? 0) > most) return reply(413)
    await (digest ? appendChecked(upload, body, digest) : upload.append(body))
    const { offset } = upload
    await this.#finishIfWhole(upload)
    return reply(204, { 'Upload-Offset': String(offset), ...this.#expires() })
  }

  /** One that has all its bytes was not finished only because the server ended before it could be. */
  async #unfinished(permission: Permission): Promise<Upload | undefined> {
    const upload = await this.#options.store.resume(keyOf(permission))
    return upload && (await this.#finishIfWhole(upload)) ? undefined : upload
  }

  async #finishIfWhole(upload: Upload): Promise<boolean> {
    if (upload.offset !== upload.length) return false
    const { length } = await upload.finish()
    this.#options.events.uploaded(length)
    return true
  }

  #expires() {
    const atMs = this.#options.clock.nowMs() + ABANDONED_AFTER_MS
    return { 'Upload-Expires': new Date(atMs).toUTCString() }
  }
}
