// The headers of TUS 1.0.0. Whatever is not as it says is malformed: never guessed at.
import { decodeBase64 } from '../../../wire/types.ts'
import type { Headers } from '../../kit/router.ts'

export const TUS_VERSION = '1.0.0'
export const CHUNK_TYPE = 'application/offset+octet-stream'
/** As names of `node:crypto`. */
export const CHECKSUM_ALGORITHMS = ['sha256', 'sha1'] as const

export type Checksum = { readonly algorithm: (typeof CHECKSUM_ALGORITHMS)[number]; readonly digest: Buffer }

/** A header that breaks the protocol. It becomes a 400. */
export class MalformedHeader extends Error {}

function malformed(): never {
  throw new MalformedHeader()
}

/** A non-negative integer, if the header is there. */
export function integer(headers: Headers, name: string): number | undefined {
  const value = headers[name]
  if (value === undefined) return undefined
  return /^\d{1,15}$/.test(value) ? Number(value) : malformed()
}

/** The length of a new upload, or that it comes later: one of both is said. */
export function uploadLength(headers: Headers): number | 'deferred' {
  const length = integer(headers, 'upload-length')
  const deferred = headers['upload-defer-length']
  if (deferred === undefined) return length ? length : malformed()
  return deferred === '1' && length === undefined ? 'deferred' : malformed()
}

/** `Upload-Metadata: filename <base64>, …`: the name, if it says one, once. */
export function filename(headers: Headers): string {
  const pairs = (headers['upload-metadata'] ?? '').split(',').map((pair) => pair.trim().split(' '))
  const values = pairs.filter(([name]) => name === 'filename').map(([, value]) => value)
  const bytes = values.length === 1 ? decodeBase64(values[0] ?? '') : undefined
  return bytes && bytes.length > 0 ? bytes.toString('utf8') : malformed()
}

/** `Upload-Checksum: <algorithm> <base64>`, if it is there. */
export function checksum(headers: Headers): Checksum | undefined {
  const value = headers['upload-checksum']
  if (value === undefined) return undefined
  const [name, encoded, ...more] = value.split(' ')
  const algorithm = CHECKSUM_ALGORITHMS.find((one) => one === name)
  const digest = decodeBase64(encoded ?? '')
  const isWhole = digest?.length === (algorithm === 'sha1' ? 20 : 32)
  return algorithm && digest && isWhole && more.length === 0 ? { algorithm, digest } : malformed()
}
