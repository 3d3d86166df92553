// Forms that let a client upload one object (docs/protocol/attachments.md). What they bind is signed.
import type { FileUrls } from '../../kit/file-urls.ts'
import type { Random } from '../../kit/random.ts'
import type { UploadClaims, UploadSignatures } from '../../kit/upload-signatures.ts'

/** The protocol follows from the number: 2 is a resumable upload as Google's store has it, 3 is TUS. */
export type Cdn = 2 | 3

export type UploadForm = {
  readonly cdn: Cdn
  readonly key: string
  /** To be sent with the upload as they are. */
  readonly headers: Readonly<Record<string, string>>
  readonly signedUploadLocation: string
}

export const ATTACHMENT_KEY_BYTES = 15

export type UploadFormsOptions = {
  readonly signatures: UploadSignatures
  readonly urls: () => FileUrls
  readonly random: Random
}

export class UploadForms {
  readonly #signatures: UploadSignatures
  readonly #urls: () => FileUrls
  readonly #random: Random

  constructor(options: UploadFormsOptions) {
    this.#signatures = options.signatures
    this.#urls = options.urls
    this.#random = options.random
  }

  /** For a new object of at most `maxBytes`, under a name that nobody can guess. */
  attachment(maxBytes: number, cdn: Cdn): UploadForm {
    const key = this.#random.bytes(ATTACHMENT_KEY_BYTES).toString('base64url')
    return cdn === 2
      ? this.#resumable(key, maxBytes)
      : this.#tus({ audience: 'attachments', subject: key, maxBytes })
  }

  /** For one object of a backup; what is there already is replaced. */
  backup(path: string, maxBytes: number): UploadForm {
    return this.#tus({ audience: 'backups', scope: 'write', subject: path, maxBytes })
  }

  /** The headers that let a client read everything in a backup's folder. */
  readHeaders(folder: string): Readonly<Record<string, string>> {
    return this.#bearer({ audience: 'backups', scope: 'read', subject: folder })
  }

  #tus(claims: UploadClaims): UploadForm {
    const { subject, audience } = claims
    const metadata = `filename ${Buffer.from(subject).toString('base64')}`
    return {
      cdn: 3,
      key: subject,
      headers: { ...this.#bearer(claims), 'Upload-Metadata': metadata },
      signedUploadLocation: `${this.#urls().cdn3}/upload/${audience}`,
    }
  }

  #resumable(key: string, maxBytes: number): UploadForm {
    const { cdn2 } = this.#urls()
    const path = `/attachments/${key}`
    const query = this.#signatures.addressQuery({ method: 'POST', path, maxBytes })
    return {
      cdn: 2,
      key,
      headers: {
        host: new URL(cdn2).host,
        'x-goog-content-length-range': `1,${maxBytes}`,
        'x-goog-resumable': 'start',
      },
      signedUploadLocation: `${cdn2}${path}?${query}`,
    }
  }

  #bearer(claims: UploadClaims) {
    return { Authorization: `Bearer ${this.#signatures.token(claims)}` }
  }
}
