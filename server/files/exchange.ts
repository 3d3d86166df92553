// What the parts of the file store answer to, whatever the address had in front of it.
import type { StreamReply, StreamRequest } from '../kit/streaming.ts'
import type { FileRefusal, FileRefusalKind } from './file-store.ts'

/** A request with its target taken apart. Nothing is decoded: what is not plain is no name of ours. */
export type FileRequest = Omit<StreamRequest, 'target'> & {
  /** Without the prefix of a CDN: `/attachments/<key>`. */
  readonly path: string
  /** Without the question mark. */
  readonly query: string
}

/** Nothing for a request that is for another part. */
export type FilePart = (request: FileRequest) => Promise<StreamReply> | undefined

/** More than one in a row is taken too: signal-cli puts the prefix of a CDN in front of a path that has it. */
const PREFIX = /^(?:\/cdn[023](?=\/))*/

export function takeApart({ target, ...request }: StreamRequest): FileRequest {
  const path = target.replace(PREFIX, '')
  const mark = path.indexOf('?')
  if (mark < 0) return { ...request, path, query: '' }
  return { ...request, path: path.slice(0, mark), query: path.slice(mark + 1) }
}

/** 460: TUS, "Checksum Mismatch". */
const STATUS: Readonly<Record<FileRefusalKind, number>> = {
  'bad-key': 404,
  exists: 409,
  'too-long': 413,
  incomplete: 409,
  'other-length': 400,
  displaced: 409,
  'wrong-digest': 460,
  full: 507,
  unavailable: 503,
}

export const statusOf = (refusal: FileRefusal): number => STATUS[refusal.kind]

/** Whatever browsers do with files, they do not do with these. */
export const SAFE = {
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Content-Security-Policy': "default-src 'none'; sandbox",
}

export const bare = (status: number, headers: Readonly<Record<string, string>> = {}): StreamReply => ({
  status,
  headers: { ...SAFE, ...(status === 204 || status === 304 ? {} : { 'Content-Length': '0' }), ...headers },
})
