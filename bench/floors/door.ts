// One TLS port for a floor: websockets over HTTP/1.1 and HTTP/2, and unary gRPC. Checks nobody.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WebSocket, WebSocketServer } from 'ws'
import { selfSigned } from './certificate.ts'

export type Door = {
  /** `user` is the ACI named by the credentials, which are believed. */
  onSocket(socket: WebSocket, user: string | undefined): void
  onCall?(call: Call): void
}
export type Call = {
  readonly method: string
  readonly user: string | undefined
  readonly message: Buffer
  reply(message: Uint8Array): void
}

/** `ws` takes over any duplex stream, but its types do not say so. */
const OpenSocket = WebSocket as unknown as new (
  address: null,
  protocols: undefined,
  options: object,
) => WebSocket & {
  setSocket(stream: ServerHttp2Stream, head: Buffer, options: object): void
}

const MAX_PAYLOAD_BYTES = 512 * 1024
const GRPC_PREFIX_BYTES = 5

const flags = parseArgs({
  options: { data: { type: 'string' }, port: { type: 'string' }, ready: { type: 'string' } },
}).values

export const dataDirectory = flags.data ?? './data'

/** Listens on loopback and writes the `--ready` file of design §7, as far as a floor has something to say. */
export function open(door: Door): void {
  mkdirSync(dataDirectory, { recursive: true })
  const { key, cert } = selfSigned('localhost')
  const server = createSecureServer({
    key,
    cert,
    allowHTTP1: true,
    settings: { enableConnectProtocol: true },
  })
  const upgrades = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD_BYTES,
  })
  server.on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (ws) => accept(door, ws, request.headers.authorization))
  })
  server.on('stream', (stream, headers) => onStream(door, stream, headers))
  server.on('sessionError', () => {})
  server.listen(Number(flags.port ?? 0), '127.0.0.1', () => {
    announce((server.address() as AddressInfo).port, cert)
  })
  process.once('SIGTERM', () => process.exit(0))
}

function onStream(door: Door, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  stream.on('error', () => {})
  if (headers[':protocol'] === 'websocket') {
    stream.respond({ ':status': 200 })
    const ws = new OpenSocket(null, undefined, { autoPong: true })
    ws.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: MAX_PAYLOAD_BYTES })
    accept(door, ws, headers.authorization)
  } else if (door.onCall) {
    onCall(door.onCall, stream, headers)
  } else {
    stream.respond({ ':status': 404 }, { endStream: true })
  }
}

function onCall(handle: (call: Call) => void, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    const message = body.subarray(GRPC_PREFIX_BYTES)
    const reply = (answer: Uint8Array) => replyTo(stream, answer)
    handle({ method: headers[':path'] as string, user: userOf(headers.authorization), message, reply })
  })
}

function replyTo(stream: ServerHttp2Stream, answer: Uint8Array): void {
  if (stream.destroyed) return
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  const framed = Buffer.alloc(GRPC_PREFIX_BYTES + answer.length)
  framed.writeUInt32BE(answer.length, 1)
  framed.set(answer, GRPC_PREFIX_BYTES)
  stream.end(framed)
}

function accept(door: Door, ws: WebSocket, authorization: string | undefined): void {
  ws.on('error', () => {})
  door.onSocket(ws, userOf(authorization))
}

function userOf(authorization: string | undefined): string | undefined {
  if (!authorization) return undefined
  const credentials = Buffer.from(authorization.slice('Basic '.length), 'base64').toString()
  return credentials.slice(0, credentials.search(/[.:]/))
}

function announce(port: number, cert: string): void {
  const caPem = join(dataDirectory, 'ca.pem')
  writeFileSync(caPem, cert)
  const ready = { pid: process.pid, urls: { chat: `https://localhost:${port}` }, tls: { caPem } }
  const file = flags.ready ?? join(dataDirectory, 'ready.json')
  writeFileSync(`${file}.draft`, JSON.stringify(ready))
  renameSync(`${file}.draft`, file)
}
