// A provider over HTTP/2 with TLS on loopback, which fails in the ways that providers do.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { constants, createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { openCertificates } from '../../server/kit/certificates.ts'

export type Asked = {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** SHA-256 of the certificate that whoever asks showed. */
  readonly certificate: string | undefined
  readonly nowTrusted: () => void
}
export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}
/**
 * `refused`: the stream was not looked at (RFC 9113 §8.7). `reset`: it failed before it was taken. `lost`: it was
 * taken, and its answer is lost. `leaving`: the connection ends, and this and later streams were not looked at.
 * `failing`: as `leaving`, by an error. `broken`: the connection is gone. `silence`: nothing comes.
 */
export type Fault = Reply | 'refused' | 'reset' | 'lost' | 'leaving' | 'failing' | 'broken' | 'silence'

type Connection = {
  lastTaken: number
  leftAfter: number
  connected: boolean
  /** Tokens of the last that were taken: their answers may still be on the way. */
  lately: string[]
}

/** More than can be under way on a connection. */
const LATELY = 300

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants

export type Files = {
  readonly key: string
  readonly cert: string
  readonly caPem: string
  readonly folder: string
}

/** Certificates for localhost, in a folder that the caller removes. */
export async function standInFiles(): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-stand-in-'))
  const { key, cert, caPemFile } = await openCertificates({
    secretsFolder: join(folder, 'secrets'),
    dataFolder: folder,
    hosts: ['localhost', '127.0.0.1'],
    nowMs: Date.now(),
  })
  return { key, cert, caPem: readFileSync(caPemFile, 'utf8'), folder }
}

export type StandInOptions = {
  readonly maxStreams?: number
  /** How many streams there may be before somebody has shown who they are. */
  readonly untilTrusted?: number
}

export abstract class ProviderStandIn {
  /** What befalls the next requests, instead of or after being looked at. */
  readonly faults: (Fault | undefined)[] = []
  /** What befalls a request when `faults` has nothing for it. */
  faultOf: () => Fault | undefined = () => undefined
  /** Whose push may have been taken without an answer that arrived: it may be pushed again. */
  readonly uncertain: string[] = []
  requests = 0
  connections = 0
  mostAtOnce = 0
  origin = ''
  readonly files: Files
  readonly #server: ReturnType<typeof createSecureServer>
  readonly #sessions = new Set<{ destroy(): void }>()
  #atOnce = 0

  constructor(files: Files, { maxStreams = 100, untilTrusted = maxStreams }: StandInOptions = {}) {
    this.files = files
    this.#server = createSecureServer({
      key: files.key,
      cert: files.cert,
      settings: { maxConcurrentStreams: untilTrusted },
      requestCert: true,
      rejectUnauthorized: false,
    })
    this.#server.on('session', (session) => {
      this.connections++
      this.#sessions.add(session)
      const connection: Connection = {
        lastTaken: 0,
        leftAfter: Number.POSITIVE_INFINITY,
        connected: true,
        lately: [],
      }
      const certificate = (session.socket as TLSSocket).getPeerCertificate().fingerprint256
      let isTrusted = untilTrusted === maxStreams
      const nowTrusted = () => {
        if (!isTrusted) session.settings({ maxConcurrentStreams: maxStreams })
        isTrusted = true
      }
      session.on('error', () => {})
      session.once('close', () => this.#sessions.delete(session))
      session.on('stream', (stream, headers) =>
        this.#read(stream, headers, connection, { certificate, nowTrusted }),
      )
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.origin = `https://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.destroy()
    this.#server.close()
    await rm(this.files.folder, { recursive: true, force: true })
  }

  /** Takes the push, or says why not. */
  protected abstract take(asked: Asked): Reply
  /** Whose push it is. */
  protected abstract tokenOf(asked: Asked): string

  #read(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    connection: Connection,
    who: Pick<Asked, 'certificate' | 'nowTrusted'>,
  ) {
    const parts: Buffer[] = []
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce)
    stream.on('error', () => {})
    stream.once('close', () => this.#atOnce--)
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.once('end', () => {
      if (stream.id! > connection.leftAfter || !connection.connected) return
      const asked = { path: headers[':path'] ?? '', headers, body: Buffer.concat(parts), ...who }
      this.requests++
      this.#answer(stream, asked, connection)
    })
  }

  #answer(stream: ServerHttp2Stream, asked: Asked, connection: Connection): void {
    const fault = this.faults.length > 0 ? this.faults.shift() : this.faultOf()
    const session = stream.session!
    if (fault === undefined) {
      connection.lastTaken = Math.max(connection.lastTaken, stream.id!)
      const reply = this.take(asked)
      if (reply.status === 200) connection.lately.push(this.tokenOf(asked))
      if (connection.lately.length > 2 * LATELY) connection.lately = connection.lately.slice(-LATELY)
      this.#reply(stream, reply)
    } else if (fault === 'refused') {
      stream.close(NGHTTP2_REFUSED_STREAM)
    } else if (fault === 'reset') {
      stream.close(NGHTTP2_INTERNAL_ERROR)
    } else if (fault === 'lost') {
      if (this.take(asked).status === 200) this.uncertain.push(this.tokenOf(asked))
      stream.close(NGHTTP2_INTERNAL_ERROR)
    } else if (fault === 'leaving') {
      connection.leftAfter = connection.lastTaken
      session.goaway(NGHTTP2_NO_ERROR, connection.lastTaken, Buffer.from('{"reason":"Shutdown"}'))
      setImmediate(() => session.close())
    } else if (fault === 'failing') {
      connection.leftAfter = connection.lastTaken
      session.goaway(NGHTTP2_INTERNAL_ERROR, connection.lastTaken)
    } else if (fault === 'broken') {
      connection.connected = false
      this.uncertain.push(...connection.lately.splice(0))
      session.destroy()
    } else if (fault !== 'silence') {
      this.#reply(stream, fault)
    }
  }

  #reply(stream: ServerHttp2Stream, { status, headers, body }: Reply): void {
    stream.respond({ ':status': status, ...headers })
    stream.end(body === undefined ? '' : JSON.stringify(body))
  }
}
