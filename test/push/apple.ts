// Apple's push service as its documents describe it ("Sending notification requests to APNs").
import { generateKeyPairSync, randomUUID, verify } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../server/kit/clock.ts'
import {
  type Asked,
  ProviderStandIn,
  type Reply,
  type StandInOptions,
  standInFiles,
} from './provider-stand-in.ts'

const TOPIC = 'org.example.app'
const KEY_ID = 'ABC123DEFG'
const TEAM_ID = 'DEF123GHIJ'
const MAX_PAYLOAD_BYTES = 4096
const TOKEN_GOOD_S = 3_600
const TOKEN_UPDATES_MS = 20 * 60_000
const MAX_KEPT_S = 30 * 86_400

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

type Device = 'registered' | { readonly goneSinceMs: number } | 'other topic'
type Taken = { readonly token: string; readonly bytes: string; readonly headers: Record<string, string> }

class Rejected extends Error {
  readonly status: number

  constructor(status: number, reason: string) {
    super(reason)
    this.status = status
  }
}

export class Apple extends ProviderStandIn {
  readonly topic = TOPIC
  readonly keyId = KEY_ID
  readonly teamId = TEAM_ID
  readonly pushes: Taken[] = []
  readonly devices = new Map<string, Device>()
  /** Reasons why pushes were not taken. */
  readonly complaints: string[] = []
  /** Of a certificate that stands for the topic. */
  fingerprint: string | undefined
  keyFile = ''
  tokensSeen = 0
  readonly #clock: Clock
  #lastToken = { text: '', sinceMs: Number.NEGATIVE_INFINITY }

  static async open(clock: Clock, options: StandInOptions = {}): Promise<Apple> {
    const apple = new Apple(clock, await standInFiles(), options)
    await apple.listen()
    apple.keyFile = join(apple.files.folder, 'AuthKey.p8')
    writeFileSync(apple.keyFile, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    return apple
  }

  private constructor(clock: Clock, ...of: ConstructorParameters<typeof ProviderStandIn>) {
    super(...of)
    this.#clock = clock
  }

  protected tokenOf({ path }: Asked): string {
    return path.slice('/3/device/'.length)
  }

  protected take(asked: Asked): Reply {
    try {
      this.#take(asked)
      return { status: 200, headers: { 'apns-id': randomUUID().toUpperCase() } }
    } catch (error) {
      const { status, message } = error as Rejected
      this.complaints.push(message)
      const since = this.devices.get(this.tokenOf(asked))
      const gone = status === 410 && typeof since === 'object' ? { timestamp: since.goneSinceMs } : {}
      return { status, body: { reason: message, ...gone } }
    }
  }

  #take(asked: Asked): void {
    const { headers, body, path, nowTrusted } = asked
    must(headers[':method'] === 'POST', 405, 'MethodNotAllowed')
    const [, token] = /^\/3\/device\/(.+)$/.exec(path) ?? []
    must(token !== undefined, 404, 'BadPath')
    this.#identify(asked)
    nowTrusted()
    must(headers['apns-topic'] !== undefined, 400, 'MissingTopic')
    must(headers['apns-topic'] === TOPIC, 400, 'TopicDisallowed')
    this.#check(headers as Record<string, string>, body)
    must(/^[0-9a-f]{64}$/.test(token), 400, 'BadDeviceToken')
    const device = this.devices.get(token)
    must(device !== undefined, 400, 'BadDeviceToken')
    must(device !== 'other topic', 400, 'DeviceTokenNotForTopic')
    must(device === 'registered', 410, 'Unregistered')
    const apns = Object.entries(headers).filter(([name]) => name.startsWith('apns-'))
    this.pushes.push({ token, bytes: body.toString(), headers: Object.fromEntries(apns) as never })
  }

  #identify({ headers, certificate }: Asked): void {
    if (certificate !== undefined) {
      must(certificate === this.fingerprint, 403, 'BadCertificate')
      must(headers.authorization === undefined, 403, 'InvalidProviderToken')
      return
    }
    const [, text] = /^bearer (\S+)$/i.exec(headers.authorization ?? '') ?? []
    must(text !== undefined, 403, 'MissingProviderToken')
    const [header, claims, signature, ...more] = text.split('.')
    must(header && claims && signature && more.length === 0, 403, 'InvalidProviderToken')
    const { alg, kid } = decoded(header)
    must(alg === 'ES256' && kid === KEY_ID, 403, 'InvalidProviderToken')
    const key = { key: keys.publicKey, dsaEncoding: 'ieee-p1363' } as const
    const signed = Buffer.from(`${header}.${claims}`)
    const bytes = Buffer.from(signature, 'base64url')
    if (text !== this.#lastToken.text) must(verify('sha256', signed, key, bytes), 403, 'InvalidProviderToken')
    const { iss, iat } = decoded(claims)
    const nowMs = this.#clock.nowMs()
    must(iss === TEAM_ID && Number.isInteger(iat) && 1000 * iat <= nowMs, 403, 'InvalidProviderToken')
    must(nowMs / 1000 - iat <= TOKEN_GOOD_S, 403, 'ExpiredProviderToken')
    this.#note(text, nowMs)
  }

  #note(text: string, nowMs: number): void {
    if (text === this.#lastToken.text) return
    must(nowMs - this.#lastToken.sinceMs >= TOKEN_UPDATES_MS, 429, 'TooManyProviderTokenUpdates')
    this.#lastToken = { text, sinceMs: nowMs }
    this.tokensSeen++
  }

  #check(headers: Record<string, string>, body: Buffer): void {
    must(body.length > 0, 400, 'PayloadEmpty')
    must(body.length <= MAX_PAYLOAD_BYTES, 413, 'PayloadTooLarge')
    const type = headers['apns-push-type']
    must(type === 'alert' || type === 'background', 400, 'InvalidPushType')
    const { aps } = JSON.parse(body.toString())
    if (type === 'background') {
      must(headers['apns-priority'] === '5', 400, 'BadPriority')
      must(aps['content-available'] === 1 && !('alert' in aps) && !('sound' in aps), 400, 'InvalidPushType')
    } else {
      must(/^(10|5|1)$/.test(headers['apns-priority'] ?? ''), 400, 'BadPriority')
      must('alert' in aps && !('content-available' in aps), 400, 'InvalidPushType')
    }
    const leftS = Number(headers['apns-expiration']) - this.#clock.nowMs() / 1000
    must(leftS > 0 && leftS <= MAX_KEPT_S, 400, 'BadExpirationDate')
    must(Buffer.byteLength(headers['apns-collapse-id'] ?? '') <= 64, 400, 'BadCollapseId')
  }
}

const decoded = (part: string): ReturnType<typeof JSON.parse> =>
  JSON.parse(Buffer.from(part, 'base64url').toString())

function must(isSo: unknown, status: number, reason: string): asserts isSo {
  if (!isSo) throw new Rejected(status, reason)
}
