// How a call fails on the wire: status codes, google.rpc.Status details, and the trailers that carry them.
import type { OutgoingHttpHeaders } from 'node:http2'
import { BadRequest, ErrorInfo, RetryInfo, Status } from '../../wire/gen/rpc.js'
import type { Refusal, RefusalDetail, RefusalKind } from './refusal.ts'

export const GrpcCode = {
  ok: 0,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const
export type GrpcCode = (typeof GrpcCode)[keyof typeof GrpcCode]

/** The reasons that clients know; others look to them like a broken connection. */
export type GrpcReason =
  | 'CONSTRAINT_VIOLATED'
  | 'BAD_AUTHENTICATION'
  | 'INVALID_CREDENTIALS'
  | 'UPGRADE_REQUIRED'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'
  | 'STREAM_CLOSED'

/** A message of the service's own beside the status: its full name and its bytes. */
export type StatusDetail = { readonly name: string; readonly bytes: Uint8Array }

export type GrpcStatus = RefusalDetail & {
  readonly code: GrpcCode
  readonly reason?: GrpcReason
  readonly own?: StatusDetail
}

/** Ends a call with a status that no `Refusal` has. */
export class GrpcFailure extends Error {
  readonly status: GrpcStatus
  constructor(status: GrpcStatus) {
    super(status.message)
    this.status = status
  }
}

const DOMAIN = 'grpc.chat.signal.org'

const STATUS_OF: Readonly<Record<RefusalKind, readonly [GrpcCode, GrpcReason?]>> = {
  'bad-request': [GrpcCode.invalidArgument, 'CONSTRAINT_VIOLATED'],
  invalid: [GrpcCode.invalidArgument, 'CONSTRAINT_VIOLATED'],
  'too-large': [GrpcCode.invalidArgument, 'CONSTRAINT_VIOLATED'],
  'invalid-credentials': [GrpcCode.unauthenticated, 'INVALID_CREDENTIALS'],
  'credentials-forbidden': [GrpcCode.invalidArgument, 'BAD_AUTHENTICATION'],
  forbidden: [GrpcCode.invalidArgument, 'BAD_AUTHENTICATION'],
  'not-found': [GrpcCode.notFound],
  'rate-limited': [GrpcCode.resourceExhausted, 'RESOURCE_EXHAUSTED'],
  'upgrade-required': [GrpcCode.invalidArgument, 'UPGRADE_REQUIRED'],
  timeout: [GrpcCode.unavailable, 'UNAVAILABLE'],
  unavailable: [GrpcCode.unavailable, 'UNAVAILABLE'],
}

export function statusOfRefusal({ kind, detail }: Refusal): GrpcStatus {
  const [code, reason] = STATUS_OF[kind]
  return reason ? { ...detail, code, reason } : { ...detail, code }
}

const any = (name: string, value: Uint8Array) => ({
  type_url: `type.googleapis.com/${name}`,
  value,
})

function details({ reason, field, message, retryAfterSeconds, own }: GrpcStatus) {
  const list = []
  if (reason) list.push(any('google.rpc.ErrorInfo', ErrorInfo.encode({ reason, domain: DOMAIN }).finish()))
  if (field !== undefined) {
    const violation = { field, description: message ?? 'invalid' }
    list.push(any('google.rpc.BadRequest', BadRequest.encode({ fieldViolations: [violation] }).finish()))
  }
  if (retryAfterSeconds !== undefined) {
    const retryDelay = { seconds: Math.ceil(retryAfterSeconds) }
    list.push(any('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay }).finish()))
  }
  if (own) list.push(any(own.name, own.bytes))
  return list
}

/** gRPC over HTTP/2, "Percent-Encoded": every byte but the printable ASCII ones without `%`. */
const percentEncode = (text: string) =>
  text.replace(/[^ -$&-~]+/gu, (run) =>
    Array.from(Buffer.from(run), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )

export function statusTrailers(status: GrpcStatus): OutgoingHttpHeaders {
  const { code, message = '', retryAfterSeconds } = status
  const list = details(status)
  const trailers: OutgoingHttpHeaders = { 'grpc-status': String(code) }
  if (message) trailers['grpc-message'] = percentEncode(message)
  if (retryAfterSeconds !== undefined) trailers['retry-after'] = String(Math.ceil(retryAfterSeconds))
  if (list.length > 0) {
    const bytes = Status.encode({ code, message, details: list }).finish()
    trailers['grpc-status-details-bin'] = Buffer.from(bytes).toString('base64').replace(/=+$/, '')
  }
  return trailers
}
