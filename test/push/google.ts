// Google as FCM's documents describe it: tokens for service accounts (RFC 7523), and messages:send of HTTP v1.
import { generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../../server/kit/clock.ts'
import {
  type Asked,
  ProviderStandIn,
  type Reply,
  type StandInOptions,
  standInFiles,
} from './provider-stand-in.ts'

const PROJECT = 'a-project'
const EMAIL = 'pusher@a-project.iam.gserviceaccount.com'
const KEY_ID = '0f1e2d'
const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging'
const MAX_DATA_BYTES = 4096
const MAX_TTL_S = 2_419_200

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })

type TokenAnswer = { readonly status: number; readonly body: unknown }
type Device = 'registered' | 'unregistered' | 'other sender'

export class Google extends ProviderStandIn {
  readonly pushes: { readonly token: string; readonly bytes: string }[] = []
  readonly devices = new Map<string, Device>()
  /** Why a request was not taken, by the documents. */
  readonly complaints: string[] = []
  /** What the next requests for a token are answered. */
  readonly tokenAnswers: TokenAnswer[] = []
  /** What the next requests for a token wait for. */
  tokenGate: Promise<unknown> = Promise.resolve()
  tokensGiven = 0
  tokensLastS = 3_599
  accountFile = ''
  readonly #clock: Clock
  readonly #tokens = new Map<string, number>()
  #door: Server | undefined
  #tokenUri = ''

  static async open(clock: Clock, options: StandInOptions = {}): Promise<Google> {
    const google = new Google(clock, await standInFiles(), options)
    await google.listen()
    await google.#openTokenDoor()
    return google
  }

  private constructor(clock: Clock, ...of: ConstructorParameters<typeof ProviderStandIn>) {
    super(...of)
    this.#clock = clock
  }

  override async close(): Promise<void> {
    this.#door?.close()
    await super.close()
  }

  /** The file that the Firebase console gives. */
  get account() {
    return {
      type: 'service_account',
      project_id: PROJECT,
      private_key_id: KEY_ID,
      private_key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      client_email: EMAIL,
      client_id: '1',
      auth_uri: 'https://accounts.google.com/o/oauth2/auth',
      token_uri: this.#tokenUri,
    }
  }

  /** No token that was given is good any more. */
  revoke(): void {
    this.#tokens.clear()
  }

  async #openTokenDoor(): Promise<void> {
    this.#door = createServer({ key: this.files.key, cert: this.files.cert }, (request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part) => parts.push(part))
      request.once('end', async () => {
        await this.tokenGate
        const { status, body } = this.tokenAnswers.shift() ?? this.#giveToken(Buffer.concat(parts).toString())
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      })
    })
    this.#door.listen(0, '127.0.0.1')
    await once(this.#door, 'listening')
    this.#tokenUri = `https://localhost:${(this.#door.address() as AddressInfo).port}/token`
    this.accountFile = join(this.files.folder, 'account.json')
    writeFileSync(this.accountFile, JSON.stringify(this.account))
  }

  #giveToken(form: string): TokenAnswer {
    try {
      this.#checkAssertion(new URLSearchParams(form))
    } catch (error) {
      this.complaints.push((error as Error).message)
      return { status: 400, body: { error: 'invalid_grant', error_description: 'Invalid JWT' } }
    }
    this.tokensGiven++
    const token = `ya29.${randomBytes(24).toString('base64url')}`
    this.#tokens.set(token, this.#clock.nowMs() + 1000 * this.tokensLastS)
    return { status: 200, body: { access_token: token, expires_in: this.tokensLastS, token_type: 'Bearer' } }
  }

  #checkAssertion(form: URLSearchParams): void {
    must(form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer', 'grant_type')
    const [header, claims, signature, ...more] = (form.get('assertion') ?? '').split('.')
    must(header && claims && signature && more.length === 0, 'assertion')
    const { alg, typ, kid } = decoded(header)
    must(alg === 'RS256' && typ === 'JWT' && kid === KEY_ID, 'header')
    const signed = Buffer.from(`${header}.${claims}`)
    must(verify('sha256', signed, keys.publicKey, Buffer.from(signature, 'base64url')), 'signature')
    const { iss, scope, aud, iat, exp } = decoded(claims)
    const nowS = this.#clock.nowMs() / 1000
    must(iss === EMAIL, 'iss')
    must(scope === SCOPE, 'scope')
    must(aud === this.#tokenUri, 'aud')
    must(Number.isInteger(iat) && iat <= nowS, 'iat')
    must(Number.isInteger(exp) && exp > nowS && exp - iat <= 3_600, 'exp')
  }

  protected tokenOf({ body }: Asked): string {
    return JSON.parse(body.toString()).message.token
  }

  protected take(asked: Asked): Reply {
    const { path, headers, body } = asked
    const bearer = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
    if ((this.#tokens.get(bearer) ?? 0) <= this.#clock.nowMs())
      return failure(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.')
    if (path !== `/v1/projects/${PROJECT}/messages:send`) return failure(404, 'NOT_FOUND', 'Not found.')
    let token: string
    try {
      token = read(headers['content-type'], body)
    } catch (error) {
      this.complaints.push((error as Error).message)
      return failure(400, 'INVALID_ARGUMENT', 'Invalid value.')
    }
    switch (this.devices.get(token)) {
      case undefined:
        return failure(400, 'INVALID_ARGUMENT', 'Not a valid FCM registration token', 'INVALID_ARGUMENT')
      case 'unregistered':
        return failure(404, 'NOT_FOUND', 'Requested entity was not found.', 'UNREGISTERED')
      case 'other sender':
        return failure(403, 'PERMISSION_DENIED', 'SenderId mismatch', 'SENDER_ID_MISMATCH')
      case 'registered':
        this.pushes.push({ token, bytes: body.toString() })
        return { status: 200, body: { name: `projects/${PROJECT}/messages/0:1` } }
    }
  }
}

/** The token, of a message as the reference of HTTP v1 allows it. */
function read(contentType: string | undefined, body: Buffer): string {
  must(contentType === 'application/json', 'content-type')
  const { message, ...others } = JSON.parse(body.toString())
  const { token, data, android, ...unexpected } = message
  must(Object.keys({ ...others, ...unexpected }).length === 0, 'fields')
  must(typeof token === 'string' && token !== '', 'token')
  let bytes = 0
  for (const [key, value] of Object.entries(data)) {
    must(typeof value === 'string', 'data value')
    must(!/^(from|message_type|collapse_key|gcm.*|google.*)$/.test(key), 'data key')
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  must(bytes <= MAX_DATA_BYTES, 'data size')
  const { priority, ttl, ...more } = android
  must(Object.keys(more).length === 0, 'android fields')
  must(priority === 'HIGH' || priority === 'NORMAL', 'priority')
  const seconds = /^(\d+)(?:\.\d{1,9})?s$/.exec(ttl)?.[1]
  must(seconds !== undefined && Number(seconds) <= MAX_TTL_S, 'ttl')
  return token
}

/** As google.rpc.Status is written in JSON. */
export const failure = (code: number, status: string, message: string, errorCode?: string): Reply => ({
  status: code,
  headers: { 'content-type': 'application/json; charset=UTF-8' },
  body: {
    error: {
      ...{ code, message, status },
      ...(errorCode && {
        details: [{ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode }],
      }),
    },
  },
})

const decoded = (part: string): ReturnType<typeof JSON.parse> =>
  JSON.parse(Buffer.from(part, 'base64url').toString())

function must(isSo: unknown, what: string): asserts isSo {
  if (!isSo) throw new Error(what)
}
