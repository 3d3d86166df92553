// Files out: whoever knows the name of an object may read it; a backup wants its token.

import { rangeOf } from '../kit/ranges.ts'
import type { StreamReply } from '../kit/streaming.ts'
import type { UploadSignatures } from '../kit/upload-signatures.ts'
import { bearerOf } from './bearer.ts'
import type { FileEvents } from './events.ts'
import { bare, type FilePart, type FileRequest, SAFE } from './exchange.ts'
import type { FileStore, OpenFile } from './file-store.ts'
import { isObjectKey } from './object-key.ts'

export type DownloadsOptions = {
  readonly store: FileStore
  readonly signatures: UploadSignatures
  readonly events: FileEvents
}

const PUBLIC = /^\/(?:attachments|profiles|stickers|groups)\//
const PRIVATE = '/backups/'
/** An object never changes, and its name is never used again. */
const IMMUTABLE = 'public, max-age=31536000, immutable'

/** Reads: `GET` and `HEAD` below the folders of objects. */
export function downloads({ store, signatures, events }: DownloadsOptions): FilePart {
  const isAllowed = ({ path, headers }: FileRequest): boolean => {
    const claims = signatures.verifyToken(bearerOf(headers) ?? '')
    return (
      claims?.audience === 'backups' &&
      claims.scope === 'read' &&
      path.startsWith(`${PRIVATE}${claims.subject}/`)
    )
  }
  const send = async (request: FileRequest): Promise<StreamReply> => {
    const isPrivate = request.path.startsWith(PRIVATE)
    if (isPrivate && bearerOf(request.headers) === undefined) return bare(401)
    if (isPrivate && !isAllowed(request)) return bare(403)
    const key = request.path.slice(1)
    const elsewhere = isObjectKey(key) && request.method === 'GET' && (await store.addresses?.toGet(key))
    if (elsewhere) return bare(307, { Location: elsewhere, 'Cache-Control': 'private, no-store' })
    const file = isObjectKey(key) ? await store.open(key) : undefined
    if (!file) return bare(404)
    const reply = replyTo(request, file, isPrivate ? 'private, no-store' : IMMUTABLE)
    if (!reply.body) await file.close()
    else events.downloaded()
    return reply
  }
  return (request) => {
    const { method, path } = request
    if (!PUBLIC.test(path) && !path.startsWith(PRIVATE)) return undefined
    return method === 'GET' || method === 'HEAD' ? send(request) : undefined
  }
}

function replyTo({ method, headers }: FileRequest, file: OpenFile, caching: string): StreamReply {
  const about = {
    ...SAFE,
    'Cache-Control': caching,
    ETag: file.etag,
    'Last-Modified': new Date(file.storedAtMs).toUTCString(),
    'Accept-Ranges': 'bytes',
  }
  if (isKnown(headers['if-none-match'], file.etag)) return { status: 304, headers: about }
  const ifRange = headers['if-range']
  const asked = method === 'GET' && (ifRange === undefined || ifRange === file.etag)
  const range = asked ? rangeOf(headers['range'], file.length) : undefined
  if (range === 'unsatisfiable') return bare(416, { 'Content-Range': `bytes */${file.length}` })
  const { first, last } = range ?? { first: 0, last: file.length - 1 }
  return {
    status: range ? 206 : 200,
    headers: {
      ...about,
      'Content-Type': 'application/octet-stream',
      'Content-Disposition': 'attachment',
      'Content-Length': String(last - first + 1),
      ...(range && { 'Content-Range': `bytes ${first}-${last}/${file.length}` }),
    },
    body: method === 'GET' ? file.read({ first, last }) : undefined,
  }
}

/** RFC 9110 §13.1.2: compared weakly. */
const isKnown = (header: string | undefined, etag: string): boolean =>
  header?.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag) ?? false
