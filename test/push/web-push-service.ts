// A push service (RFC 8030) on loopback that is as strict as its RFCs allow, and tells what it received.
import { createECDH, createPublicKey, randomBytes, verify } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { openCertificates } from '../../server/kit/certificates.ts'
import type { WebSubscription } from '../../server/kit/push-gateway.ts'
import { temporaryFolder } from '../engines.ts'
import { decrypt, type Receiver } from './message-encryption.ts'

export type Received = {
  readonly path: string
  readonly ttlS: number
  readonly urgency: string
  readonly topic: string | undefined
  /** What it says, decrypted; nothing if there was no body. */
  readonly text: string | undefined
  /** The body as it was. */
  readonly bytes: Buffer
}
type Answer = { readonly status: number; readonly headers?: Readonly<Record<string, string>> }

export class WebPushService {
  readonly received: Received[] = []
  /** Why requests were not taken, by the RFCs. */
  readonly faults: string[] = []
  /** What the next ones are answered, instead of being looked at. */
  readonly answers: Answer[] = []
  requests = 0
  readonly origin: string
  readonly ca: string
  readonly #receivers = new Map<string, Receiver | undefined>()
  #known = ''

  private constructor(origin: string, ca: string) {
    this.origin = origin
    this.ca = ca
  }

  static async open(t: TestContext): Promise<WebPushService> {
    const folder = await temporaryFolder(t)
    const { key, cert, caPemFile } = await openCertificates({
      secretsFolder: join(folder, 'secrets'),
      dataFolder: folder,
      hosts: ['localhost', '127.0.0.1'],
      nowMs: Date.now(),
    })
    const server = createServer({ key, cert }, (request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part) => parts.push(part))
      request.once('end', () => {
        const { status, headers } = service.#take(request.url ?? '', request.headers, Buffer.concat(parts))
        response.writeHead(status, headers).end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const service = new WebPushService(`https://localhost:${port}`, readFileSync(caPemFile, 'utf8'))
    t.after(() => server.close())
    return service
  }

  /** Pushes have to be signed by this key (RFC 8292 §4.2). */
  restrictTo(applicationServerKey: string): void {
    this.#known = applicationServerKey
  }

  subscribe(withKeys = true): WebSubscription {
    const path = `/push/${randomBytes(16).toString('base64url')}`
    const ecdh = createECDH('prime256v1')
    const p256dh = ecdh.generateKeys()
    const auth = randomBytes(16)
    this.#receivers.set(path, withKeys ? { privateKey: ecdh.getPrivateKey(), auth } : undefined)
    return { endpoint: `${this.origin}${path}`, keys: withKeys ? { p256dh, auth } : undefined }
  }

  #take(path: string, headers: IncomingHttpHeaders, bytes: Buffer): Answer {
    this.requests++
    const answer = this.answers.shift()
    if (answer) return answer
    if (!this.#receivers.has(path)) return { status: 404 }
    try {
      this.received.push(this.#read(path, headers, bytes))
      return { status: 201, headers: { location: `${this.origin}/message/1` } }
    } catch (error) {
      this.faults.push((error as Error).message)
      return { status: 400 }
    }
  }

  #read(path: string, headers: IncomingHttpHeaders, bytes: Buffer): Received {
    const { ttl, urgency, topic } = headers as Record<string, string | undefined>
    must(/^\d+$/.test(ttl ?? ''), 'TTL (RFC 8030 §5.2)')
    must(/^(very-low|low|normal|high)$/.test(urgency ?? ''), 'Urgency (RFC 8030 §5.3)')
    must(topic === undefined || /^[\w-]{1,32}$/.test(topic), 'Topic (RFC 8030 §5.4)')
    must(bytes.length <= 4096, 'length (RFC 8030 §7.2)')
    this.#identify(headers.authorization ?? '')
    const receiver = this.#receivers.get(path)
    must(bytes.length === 0 || receiver !== undefined, 'a body for who has no keys')
    if (bytes.length > 0) must(headers['content-encoding'] === 'aes128gcm', 'Content-Encoding (RFC 8291 §4)')
    const text = receiver && bytes.length > 0 ? decrypt(bytes, receiver).toString() : undefined
    return { path, ttlS: Number(ttl), urgency: urgency!, topic, text, bytes }
  }

  /** RFC 8292 §2 and §3. */
  #identify(authorization: string): void {
    const [, token, key] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(authorization) ?? []
    must(token !== undefined && key !== undefined, 'Authorization (RFC 8292 §3)')
    must(key === this.#known, 'an unknown key (RFC 8292 §4.2)')
    const [header, claims, signature] = token!.split('.') as [string, string, string]
    const point = Buffer.from(key!, 'base64url')
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((one) => one.toString('base64url'))
    const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x: x!, y: y! } })
    const signed = Buffer.from(`${header}.${claims}`)
    const raw = Buffer.from(signature, 'base64url')
    must(verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw), 'signature')
    const { aud, exp, sub } = JSON.parse(Buffer.from(claims, 'base64url').toString())
    const leftS = exp - Date.now() / 1000
    must(aud === this.origin, 'aud')
    must(leftS > 0 && leftS <= 24 * 3600, 'exp')
    must(/^(mailto:|https:)/.test(sub), 'sub')
  }
}

function must(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(what)
}
