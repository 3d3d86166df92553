// Sends as unary gRPC calls on the HTTP/2 connection of the sender's websocket, as today's libsignal does.
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'
import type { Account, Mode } from '../job.ts'
import { bytesField, Fields, numberField, putVarint } from '../protobuf.ts'
import { basic } from './connect.ts'
import { writeMark } from './mark.ts'

const PREFIX_BYTES = 5
const IDENTITY_TYPE_ACI = 1
const DOUBLE_RATCHET = 1
const UNIDENTIFIED_SENDER = 4
const PATHS = {
  identified: '/org.signal.chat.messages.Messages/SendMessage',
  sealed: '/org.signal.chat.messages.MessagesAnonymous/SendSingleRecipientMessage',
} as const
/** In milliseconds; six bytes as a varint until the year 2109. */
const SOME_TIMESTAMP = 1_700_000_000_000

export class CallTemplate {
  private readonly bytes: Buffer
  private readonly markAt: number
  private readonly timestampAt: number

  constructor(recipient: Account, mode: Mode, content: Buffer) {
    const destination = Buffer.concat([
      numberField(1, IDENTITY_TYPE_ACI),
      bytesField(2, Buffer.from(recipient.aci.replaceAll('-', ''), 'hex')),
    ])
    const message = Buffer.concat([
      numberField(1, recipient.registrationId),
      bytesField(2, content),
      numberField(3, mode === 'sealed' ? UNIDENTIFIED_SENDER : DOUBLE_RATCHET),
    ])
    const entry = Buffer.concat([numberField(1, 1), bytesField(2, message)])
    const bundle = Buffer.concat([numberField(1, SOME_TIMESTAMP), bytesField(2, entry)])
    const authorization = mode === 'sealed' ? [bytesField(5, Buffer.from(recipient.accessKey, 'base64'))] : []
    const request = Buffer.concat([
      bytesField(1, destination),
      numberField(3, 1),
      bytesField(4, bundle),
      ...authorization,
    ])
    this.bytes = Buffer.concat([Buffer.alloc(PREFIX_BYTES), request])
    this.bytes.writeUInt32BE(request.length, 1)
    this.markAt = this.bytes.indexOf(content)
    this.timestampAt = this.bytes.indexOf(bundle) + 1
  }

  fill(sender: number, sequence: number, timestampMs: number): Buffer {
    const bytes = Buffer.from(this.bytes)
    writeMark(bytes, this.markAt, sender, sequence)
    putVarint(bytes, this.timestampAt, timestampMs)
    return bytes
  }
}

export function callHeaders(mode: Mode, sender: Account): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ':method': 'POST',
    ':path': PATHS[mode],
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'heliograph-bench libsignal/0.103.0',
  }
  return mode === 'sealed' ? headers : { ...headers, authorization: basic(sender) }
}

/** Makes one call. `done` gets 200, or another number if the answer is anything but success. */
export function call(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Buffer,
  done: (status: number) => void,
): void {
  const stream = session.request(headers)
  let answer: Buffer | undefined
  let grpcStatus = '?'
  stream.on('data', (chunk: Buffer) => {
    answer = answer ? Buffer.concat([answer, chunk]) : chunk
  })
  stream.on('response', (head) => {
    grpcStatus = String(head['grpc-status'] ?? grpcStatus)
  })
  stream.on('trailers', (trailers) => {
    grpcStatus = String(trailers['grpc-status'])
  })
  stream.on('error', () => {})
  stream.on('close', () => done(grpcStatus === '0' && answer && isSuccess(answer) ? 200 : 500))
  stream.end(body)
}

/** SendMessageResponse and its authenticated sister have `success` as field 1 of their oneof. */
function isSuccess(answer: Buffer): boolean {
  const fields = new Fields(answer, PREFIX_BYTES)
  return fields.next() && fields.field === 1
}
