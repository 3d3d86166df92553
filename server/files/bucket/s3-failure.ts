import { FileRefusal } from '../file-store.ts'
import { textOf } from './s3-xml.ts'

/** What a bucket answered instead of doing it. */
export class S3Failure extends Error {
  readonly status: number
  /** As S3 names it (Amazon S3, "Error responses"); empty if it said none. */
  readonly code: string

  constructor(status: number, code: string) {
    super(`${status} ${code}`)
    this.status = status
    this.code = code
  }

  /** The same request may do later. */
  get isPassing(): boolean {
    return this.status >= 500
      ? ![501, 507].includes(this.status)
      : this.status === 429 || PASSING.has(this.code)
  }

  get isFull(): boolean {
    return this.status === 507 || FULL.has(this.code)
  }
}

const PASSING = new Set([
  'RequestTimeout',
  'InternalError',
  'SlowDown',
  'OperationAborted',
  'ConditionalRequestConflict',
])
/** Ceph, MinIO, Backblaze, Swift (for which a quota is a length that is too large). */
const FULL = new Set([
  'QuotaExceeded',
  'XMinioAdminBucketQuotaExceeded',
  'XMinioStorageFull',
  'StorageCapExceeded',
  'StorageQuotaExceeded',
  'EntityTooLarge',
])

/** S3 may say so in the body of a 200 too: what takes long is answered before it is done. */
export function failureOf(status: number, body: string): S3Failure | undefined {
  const isFailed = status >= 300 || /<Error[\s>]/.test(body.slice(0, 400))
  return isFailed ? new S3Failure(status >= 300 ? status : 500, textOf(body, 'Code') ?? '') : undefined
}

export const isMissing = (error: unknown): boolean => error instanceof S3Failure && error.status === 404

/** For what may not be there. */
export function unlessMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

/** Whatever the bucket could not do is no bug of ours: it has no room, or is not to be had. */
export const refusalOf = (failure: S3Failure): FileRefusal =>
  new FileRefusal(failure.isFull ? 'full' : 'unavailable')

export function refuseIfFailed(error: unknown): never {
  throw error instanceof S3Failure ? refusalOf(error) : error
}
