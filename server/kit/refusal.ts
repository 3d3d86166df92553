// What any call may meet, whatever it asks: thrown by rules, mapped to a status at each door.

export type RefusalKind =
  | 'bad-request'
  | 'invalid-credentials'
  | 'credentials-forbidden'
  | 'forbidden'
  | 'not-found'
  | 'timeout'
  | 'too-large'
  | 'invalid'
  | 'rate-limited'
  | 'upgrade-required'
  | 'unavailable'

/** The REST status of each kind (Signal's vocabulary, docs/protocol). */
export const REFUSAL_STATUS: Readonly<Record<RefusalKind, number>> = {
  'bad-request': 400,
  'invalid-credentials': 401,
  'credentials-forbidden': 400,
  forbidden: 403,
  'not-found': 404,
  timeout: 408,
  'too-large': 413,
  invalid: 422,
  'rate-limited': 429,
  'upgrade-required': 499,
  unavailable: 503,
}

export type RefusalDetail = {
  /** Seconds until a retry can succeed; becomes `Retry-After` or `RetryInfo`. */
  retryAfterSeconds?: number
  /** The field that broke a rule of the contract, for 422 and CONSTRAINT_VIOLATED. */
  field?: string
  /** What was wrong, in words that reveal nothing about anybody. */
  message?: string
}

/** A general failure of a call. It is no bug, so it carries no stack and is never logged as one. */
export class Refusal extends Error {
  readonly kind: RefusalKind
  readonly detail: RefusalDetail

  constructor(kind: RefusalKind, detail: RefusalDetail = {}) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(detail.message ?? kind)
    Error.stackTraceLimit = limit
    this.kind = kind
    this.detail = detail
  }
}
