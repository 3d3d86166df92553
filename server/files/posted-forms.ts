// CDN 0: objects posted with an S3 form (docs/protocol/files-cdn.md): avatars, stickers.
import { Readable } from 'node:stream'
import type { Clock } from '../kit/clock.ts'
import type { StreamReply } from '../kit/streaming.ts'
import type { UploadKeyRing } from '../kit/upload-keys.ts'
import type { FileEvents } from './events.ts'
import { bare, type FileRequest, SAFE } from './exchange.ts'
import { FileRefusal, type FileRefusalKind, type FileStore } from './file-store.ts'
import { boundaryOf, MultipartError, readForm } from './multipart.ts'
import { checkPostedPolicy } from './posted-policy.ts'
import { S3_STATUS, type S3Code, S3Error, s3ErrorBody } from './s3-error.ts'
import { storeWhole } from './whole-upload.ts'

export type PostedFormsOptions = {
  readonly store: FileStore
  readonly keys: UploadKeyRing
  readonly clock: Clock
  readonly events: FileEvents
}

/** What may be posted: everything else has another way in. */
const KIND = /^(?:profiles|groups|stickers)\//

export class PostedForms {
  readonly #options: PostedFormsOptions

  constructor(options: PostedFormsOptions) {
    this.#options = options
  }

  /** Undefined if no such request is meant for here. */
  answer(request: FileRequest): Promise<StreamReply> | undefined {
    const isHere = request.method === 'POST' && request.path === '/'
    return isHere ? this.#post(request).catch(refused) : undefined
  }

  async #post({ headers, body, query }: FileRequest): Promise<StreamReply> {
    const { store, keys, clock, events } = this.#options
    const boundary = boundaryOf(headers['content-type'])
    if (boundary === undefined || query !== '')
      throw new S3Error('MalformedPOSTRequest', 'It must be a form of multipart/form-data.')
    const form = await readForm(body, boundary)
    const allowed = checkPostedPolicy(form.fields, keys, clock)
    if (!KIND.test(allowed.key)) throw new S3Error('AccessDenied', 'No object may be called so.')
    const { etag, length } = await storeWhole(store, { ...allowed, source: form.file })
    events.uploaded(length)
    return bare(204, { ETag: etag })
  }
}

const REFUSALS: Partial<Record<FileRefusalKind, readonly [S3Code, string]>> = {
  'bad-key': ['AccessDenied', 'No object may be called so.'],
  exists: ['PreconditionFailed', 'There is such an object: none is overwritten.'],
  displaced: ['OperationAborted', 'The same form was sent again meanwhile.'],
  'too-long': ['EntityTooLarge', 'The file is longer than the policy allows.'],
  unavailable: ['ServiceUnavailable', 'The store is not to be had just now.'],
  incomplete: ['EntityTooSmall', 'The file is shorter than the policy allows.'],
}

function refused(error: unknown): StreamReply {
  const { code, message } = asS3Error(error)
  const body = Buffer.from(s3ErrorBody(code, message))
  return {
    status: S3_STATUS[code],
    headers: { ...SAFE, 'Content-Type': 'application/xml', 'Content-Length': String(body.length) },
    body: Readable.from([body]),
  }
}

/** What has no code in S3, and what is no refusal, is thrown on. */
function asS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  if (error instanceof MultipartError)
    return new S3Error('MalformedPOSTRequest', `The form is not well made: ${error.message}.`)
  const refusal = error instanceof FileRefusal ? REFUSALS[error.kind] : undefined
  if (!refusal) throw error
  return new S3Error(...refusal)
}
