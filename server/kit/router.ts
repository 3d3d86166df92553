// The one router behind every door: finds the route, establishes the caller, decodes, calls, encodes.
import FindMyWay from 'find-my-way'
import type { z } from 'zod'
import { MAX_BODY_BYTES } from '../../wire/limits.ts'
import {
  type Access,
  type Asker,
  type Bound,
  type Credentials,
  Malformed,
  type Method,
  type Route,
  type Unidentified,
} from '../../wire/route.ts'
import { type DeviceAddress, decodeBase64 } from '../../wire/types.ts'
import type { Clock } from './clock.ts'
import { REFUSAL_STATUS, Refusal } from './refusal.ts'

/** Lower-case names; the first value where one occurs twice. */
export type Headers = Readonly<Record<string, string | undefined>>

/** How a request came in. On a socket the device is fixed at the upgrade. */
export type Channel =
  | { readonly door: 'rest'; readonly remoteAddress: string }
  | {
      readonly door: 'websocket'
      readonly remoteAddress: string
      readonly device: DeviceAddress | undefined
      /** A socket that serves the routes made for it, and no others. */
      readonly socket?: Route['socket']
    }

export type Request = {
  readonly method: string
  /** Path and query, as on the request line. */
  readonly target: string
  readonly headers: Headers
  readonly body: Uint8Array
  readonly channel: Channel
  readonly asker?: Asker
}

/** Stays until it has its answer. */
const PATIENT: Asker = { onGone: () => ({ cancel: () => {} }) }

export type Response = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Checks Basic credentials of a device; nothing if they are not valid. */
export type Authenticate = (credentials: Credentials) => Promise<DeviceAddress | undefined>

/** Whether a client is too old to be served; without such a function everybody is. */
export type RefusesClient = ((userAgent: string | undefined) => boolean) | undefined

export type RouterOptions = {
  readonly authenticate: Authenticate
  readonly clock: Clock
  readonly refusesClient?: RefusesClient
  /** Called once for each failure that is a bug of ours. */
  readonly onBug: (error: unknown, route: string) => void
}

const EMPTY = new Uint8Array(0)
/** A request for a profile key credential is the longest: 329 bytes in hexadecimal. */
const MAX_PARAM_LENGTH = 1024
const METHODS = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'HEAD'] as const
const isMethod = (method: string): method is Method => (METHODS as readonly string[]).includes(method)

type Entry = {
  readonly bound: Bound
  readonly params: Decoder
  readonly query: Decoder
  readonly headers: Decoder
}
type Decoder = (source: Readonly<Record<string, unknown>>) => Record<string, unknown>

const NO_VALUES = Object.freeze({})

function decoderOf(what: string, fields: Readonly<Record<string, z.ZodType>>): Decoder {
  const entries = Object.entries(fields)
  if (entries.length === 0) return () => NO_VALUES
  return (source) => {
    const values: Record<string, unknown> = {}
    for (const [name, schema] of entries) {
      const result = schema.safeDecode(source[name] as never)
      if (!result.success) throw new Malformed([`${what} ${name}: ${result.error.issues[0]?.message}`])
      if (result.data !== undefined) values[name] = result.data
    }
    return values
  }
}

/** Reads `Basic` credentials; nothing if the header is not of that form (RFC 7617). */
export function parseBasic(authorization: string | undefined): Credentials | undefined {
  const match = /^basic ([A-Za-z0-9+/_=-]+)$/i.exec(authorization ?? '')
  const text = match?.[1] && decodeBase64(match[1])?.toString('utf8')
  const colon = text ? text.indexOf(':') : -1
  if (!text || colon < 0) return undefined
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

export class Router {
  private readonly table = FindMyWay({ ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH })
  private readonly options: RouterOptions

  constructor(bound: readonly Bound[], options: RouterOptions) {
    this.options = options
    for (const one of bound) {
      const { method, path, params, query, headers } = one.route
      const entry: Entry = {
        bound: one,
        params: decoderOf('path', params),
        query: decoderOf('query', query),
        headers: decoderOf('header', headers),
      }
      this.table.on(method, path, () => {}, entry)
    }
  }

  /** Never rejects: whatever goes wrong becomes a response. */
  async handle(request: Request): Promise<Response> {
    let name = 'router'
    try {
      if (this.options.refusesClient?.(request.headers['user-agent'])) throw new Refusal('upgrade-required')
      const found = isMethod(request.method) ? this.table.find(request.method, request.target) : null
      if (!found?.store) return this.respond(this.missing(request))
      const entry = found.store as Entry
      if (entry.bound.route.socket !== socketOf(request.channel)) return this.respond(NOT_HERE)
      name = entry.bound.name
      return await this.call(entry, request, found.params, found.searchParams)
    } catch (error) {
      return this.failed(error, name)
    }
  }

  /** Why a body of so many bytes, longer than most may be, is not read on; nothing if it is. */
  refusesBody(
    { method, target, headers }: Omit<Request, 'body' | 'channel'>,
    bytes: number,
  ): number | undefined {
    const found = isMethod(method) ? this.table.find(method, target) : null
    const { route, admits } = (found?.store as Entry | undefined)?.bound ?? {}
    if (bytes > (route?.maxBodyBytes ?? MAX_BODY_BYTES)) return REFUSAL_STATUS['too-large']
    if (!admits) return undefined
    const credentials = parseBasic(headers['authorization'])
    return credentials && admits(credentials) ? undefined : REFUSAL_STATUS['invalid-credentials']
  }

  private async call(
    entry: Entry,
    request: Request,
    params: Record<string, string | undefined>,
    query: Record<string, string>,
  ): Promise<Response> {
    const { route, handle } = entry.bound
    if (request.body.length > route.maxBodyBytes) throw new Refusal('too-large')
    const established = this.establish(entry.bound, request)
    const caller = established instanceof Promise ? await established : established
    const reply = await handle({
      caller: caller as never,
      params: entry.params(params),
      query: entry.query(query),
      headers: entry.headers(request.headers),
      body: route.body.decode(request.body),
      remoteAddress: request.channel.remoteAddress,
      userAgent: request.headers['user-agent'],
      acceptLanguage: request.headers['accept-language'],
      door: request.channel.door,
      asker: request.asker ?? PATIENT,
    })
    const declared = route.replies[Number(reply.status)]
    if (!declared) throw new Error(`${entry.bound.name} answered an undeclared status`)
    const body = 'body' in reply && reply.body !== undefined ? declared.encode(reply.body) : EMPTY
    const type = body.length > 0 ? declared.contentType : undefined
    return this.respond({ status: Number(reply.status), body, type, extra: reply.headers })
  }

  /** A promise only where credentials have to be checked: on a socket that was done at the upgrade. */
  private establish(bound: Bound, request: Request): unknown {
    const { route } = bound
    switch (route.auth) {
      case 'none':
        return undefined
      case 'basic':
        return admitted(bound, request)
      case 'anonymous':
        mustBeUnidentified(request, forbidsBy403(route) ? 'forbidden' : 'credentials-forbidden')
        return undefined
      case 'unidentified':
        mustBeUnidentified(request)
        return unidentified(request)
      case 'device':
        return settle(this.device(request), (device) => device ?? refuse('invalid-credentials'))
      case 'device-or-unidentified':
        return settle(this.device(request), (device) => access(request, device))
    }
  }

  /** The calling device, if any. Credentials that are there must be right. */
  private device(request: Request): MaybePromise<DeviceAddress | undefined> {
    if (request.channel.door === 'websocket') return request.channel.device
    const header = request.headers['authorization']
    if (header === undefined) return undefined
    const credentials = parseBasic(header) ?? refuse('invalid-credentials')
    return this.options.authenticate(credentials).then((device) => device ?? refuse('invalid-credentials'))
  }

  private missing(request: Request): Bare {
    const allowed = METHODS.filter((method) => this.table.find(method, request.target)?.store)
    if (allowed.length === 0) return { status: 404, body: EMPTY }
    return { status: 405, body: EMPTY, extra: { Allow: allowed.join(', ') } }
  }

  private failed(error: unknown, route: string): Response {
    if (error instanceof Refusal) return this.respond(refusalResponse(error))
    if (error instanceof Malformed) return this.respond(unprocessable(error.issues))
    this.options.onBug(error, route)
    return this.respond({ status: 500, body: EMPTY })
  }

  private respond(bare: Bare): Response {
    const headers: Record<string, string> = { 'X-Signal-Timestamp': String(this.options.clock.nowMs()) }
    if (bare.type !== undefined) headers['Content-Type'] = bare.type
    if (bare.extra) Object.assign(headers, bare.extra)
    return { status: bare.status, headers, body: bare.body }
  }
}

const NOT_HERE: Bare = { status: 404, body: EMPTY }
const socketOf = (channel: Channel): Route['socket'] =>
  channel.door === 'websocket' ? channel.socket : undefined

type MaybePromise<T> = T | Promise<T>

const settle = <T, R>(value: MaybePromise<T>, next: (value: T) => R): MaybePromise<R> =>
  value instanceof Promise ? value.then(next) : next(value)

type Bare = {
  readonly status: number
  readonly body: Uint8Array
  readonly type?: string | undefined
  readonly extra?: Readonly<Record<string, string>> | undefined
}

function refuse(kind: 'invalid-credentials'): never {
  throw new Refusal(kind)
}

const forbidsBy403 = ({ replies }: Route): boolean => 403 in replies && !(400 in replies)

function isIdentified(request: Request): boolean {
  if (request.channel.door === 'websocket') return request.channel.device !== undefined
  return request.headers['authorization'] !== undefined
}

function mustBeUnidentified(
  request: Request,
  refusal: 'forbidden' | 'credentials-forbidden' = 'credentials-forbidden',
): void {
  if (isIdentified(request)) throw new Refusal(refusal)
}

/** Signal-api §0.6: a token stands alone, and a device outranks an access key. */
function access(request: Request, device: DeviceAddress | undefined): Access {
  if (!device) return unidentified(request)
  if (request.headers['group-send-token'] !== undefined) throw new Refusal('bad-request')
  return { kind: 'device', device }
}

/** A token stands alone, and an unreadable header is a wrong one. */
function admitted({ admits }: Bound, request: Request): Credentials {
  const credentials = parseBasic(request.headers['authorization'])
  return credentials && admits?.(credentials) !== false ? credentials : refuse('invalid-credentials')
}

function unidentified(request: Request): Unidentified {
  const keyText = request.headers['unidentified-access-key']
  const tokenText = request.headers['group-send-token']
  if (tokenText !== undefined) {
    if (keyText !== undefined) throw new Refusal('bad-request')
    return { kind: 'group-send-token', token: decodeBase64(tokenText) ?? refuse('invalid-credentials') }
  }
  if (keyText === undefined) return { kind: 'none' }
  const key = decodeBase64(keyText)
  return key?.length === 16 ? { kind: 'access-key', key } : refuse('invalid-credentials')
}

/** The response that a refusal has over REST and inside a websocket. */
export function refusalResponse(refusal: Refusal): Bare {
  const { retryAfterSeconds, message, field } = refusal.detail
  if (refusal.kind === 'invalid')
    return unprocessable([field ? `${field}: ${message}` : (message ?? 'invalid')])
  const extra = retryAfterSeconds === undefined ? undefined : { 'Retry-After': String(retryAfterSeconds) }
  return { status: REFUSAL_STATUS[refusal.kind], body: EMPTY, extra }
}

const unprocessable = (errors: readonly string[]): Bare => ({
  status: 422,
  body: Buffer.from(JSON.stringify({ errors })),
  type: 'application/json',
})
