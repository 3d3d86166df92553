// Why a form is refused, in S3's words and with S3's statuses (Amazon S3, "Error responses").

export const S3_STATUS = {
  AccessDenied: 403,
  InvalidAccessKeyId: 403,
  SignatureDoesNotMatch: 403,
  MalformedPOSTRequest: 400,
  InvalidPolicyDocument: 400,
  EntityTooSmall: 400,
  EntityTooLarge: 400,
  OperationAborted: 409,
  PreconditionFailed: 412,
  ServiceUnavailable: 503,
} as const
export type S3Code = keyof typeof S3_STATUS

export class S3Error extends Error {
  readonly code: S3Code

  constructor(code: S3Code, why: string) {
    super(why)
    this.code = code
  }
}

/** `message` is a sentence of ours: nothing of what was sent comes back. */
export const s3ErrorBody = (code: S3Code, message: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`
