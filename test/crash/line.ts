// A client's connection for one life of the server: frames in a websocket, and gRPC calls beside it on HTTP/2.
import type { EventEmitter } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { connect } from '../../bench/generator/connect.ts'
import { frame, type WebSocketClient } from '../../bench/generator/websocket.ts'
import type { Account, Target } from '../../bench/job.ts'
import { Envelope } from '../../wire/gen/envelope.js'
import type { MessageOf, Rpc } from '../../wire/service.ts'
import { decodeFrame, encodeRequest, encodeResponse, type RequestFrame } from '../../wire/websocket.ts'

/** Answers a message that came in, once. */
export type Acknowledge = () => void

export type Hearing = {
  message(envelope: Envelope, acknowledge: Acknowledge): void
  queueEmpty(): void
}

/** Told the status of an answer; never called if none comes. */
export type Answered = (status: number) => void

const GRPC_PREFIX_BYTES = 5
const JSON_HEADERS = ['content-type:application/json']
/** libsignal's answer to a message. */
const RECEIVED = { status: 200, message: 'OK', headers: [], body: new Uint8Array(0) }

export class Line {
  isOpen = true
  /** Resolves when everything that the server sent before it died has been read. */
  readonly closed: Promise<unknown>
  readonly #socket: WebSocketClient
  readonly #session: ClientHttp2Session | undefined
  readonly #hearing: Hearing
  readonly #waiting = new Map<number, Answered>()
  #lastId = 0

  private constructor(socket: WebSocketClient, session: ClientHttp2Session | undefined, hearing: Hearing) {
    this.#socket = socket
    this.#session = session
    this.#hearing = hearing
    this.closed = Promise.all([closeOf(socket.stream), session && closeOf(session)])
    socket.onClose = () => {
      this.isOpen = false
      socket.stream.destroy()
      session?.close()
    }
    socket.listen((payload) => this.#heard(payload))
  }

  /** Rejects if the server dies meanwhile. */
  static async open(target: Target, http: 'h1' | 'h2', account: Account | undefined, hearing: Hearing) {
    const { socket, session } = await connect(target, http, account)
    return new Line(socket, session, hearing)
  }

  put(path: string, headers: readonly string[], body: object, answered: Answered): void {
    const id = ++this.#lastId
    this.#waiting.set(id, answered)
    const bytes = Buffer.from(JSON.stringify(body))
    this.#send(encodeRequest({ verb: 'PUT', path, headers: [...JSON_HEADERS, ...headers], body: bytes, id }))
  }

  /** Makes a unary gRPC call. `answered` gets 200 if `isSuccess`, else 500. */
  call<R extends Rpc>(
    rpc: R,
    request: Parameters<R['request']['encode']>[0],
    headers: Readonly<Record<string, string>>,
    isSuccess: (response: MessageOf<R['response']>) => boolean,
    answered: Answered,
  ): void {
    const session = this.#session
    if (!session || session.closed || session.destroyed) return
    const bytes = rpc.request.encode(request).finish()
    const prefix = Buffer.alloc(GRPC_PREFIX_BYTES)
    prefix.writeUInt32BE(bytes.length, 1)
    const stream = session.request({
      ':method': 'POST',
      ':path': rpc.path,
      ':authority': 'localhost',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    const chunks: Buffer[] = []
    let status: string | undefined
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('response', (head) => {
      status = head['grpc-status'] as string | undefined
    })
    stream.on('trailers', (trailers) => {
      status = String(trailers['grpc-status'])
    })
    stream.on('error', () => {}) // the close that follows says it
    stream.on('close', () => {
      if (status === undefined) return
      const answer = Buffer.concat(chunks).subarray(GRPC_PREFIX_BYTES)
      answered(status === '0' && isSuccess(rpc.response.decode(answer)) ? 200 : 500)
    })
    stream.end(Buffer.concat([prefix, bytes]))
  }

  #send(message: Buffer): void {
    if (this.isOpen) this.#socket.send(frame(message))
  }

  #heard(payload: Buffer): void {
    const message = decodeFrame(payload)
    if (message === undefined) throw new Error('the server sent a frame that is none')
    if (message.kind === 'request') this.#asked(message)
    else {
      const id = message.id as number
      this.#waiting.get(id)?.(message.status)
      this.#waiting.delete(id)
    }
  }

  #asked({ id, path, body }: RequestFrame): void {
    if (path === '/api/v1/queue/empty') this.#hearing.queueEmpty()
    else this.#hearing.message(Envelope.decode(body), () => this.#send(encodeResponse({ ...RECEIVED, id })))
  }
}

const closeOf = (emitter: EventEmitter) => new Promise<void>((resolve) => emitter.once('close', resolve))
