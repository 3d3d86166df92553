// The contract kernel: a route is data, and handlers, clients and documents derive their types from it.
import type { z } from 'zod'
import { MAX_BODY_BYTES } from './limits.ts'
import type { Codec } from './service.ts'
import type { DeviceAddress } from './types.ts'

/**
 * Who may call.
 * `device`: Basic credentials of a device, or the identity of an authenticated socket.
 * `device-or-unidentified`: a device, or an access key or group send token in a header.
 * `unidentified`: credentials are forbidden; an access key or group send token in a header counts, and so does neither.
 * `anonymous`: credentials are forbidden (400, or 403 where the route declares that alone). `none`: credentials are not
 * looked at. `basic`: they are parameters of the call.
 */
export type Auth = 'device' | 'device-or-unidentified' | 'unidentified' | 'anonymous' | 'none' | 'basic'
export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE' | 'HEAD'

/** How a body travels: bytes on the wire, a value in the code. */
export type Body<T> = {
  readonly contentType: string | undefined
  /** The schema behind it, for documents; absent for raw bytes and for no body. */
  readonly schema?: z.ZodType
  /** Throws `Malformed` if the bytes are not such a body. */
  decode(bytes: Uint8Array): T
  encode(value: T): Uint8Array
}

/** The bytes break the contract. `issues` names the fields, never their contents. */
export class Malformed extends Error {
  readonly issues: readonly string[]
  constructor(issues: readonly string[]) {
    super('malformed')
    this.issues = issues
  }
}

const EMPTY = new Uint8Array(0)
const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    throw new Malformed(['body: must be JSON'])
  }
}

const issueText = (issue: z.core.$ZodIssue) => `${issue.path.join('.') || 'body'}: ${issue.message}`

/** Decodes with a schema; throws `Malformed` where it does not fit. */
export function decodeWith<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeDecode(value as never)
  if (result.success) return result.data
  throw new Malformed(result.error.issues.slice(0, 8).map(issueText))
}

/**
 * Shortcuts for a hot body. `decode` gives what the schema would, or nothing where it is not sure; `encode` gives the
 * same bytes.
 */
export type Fast<T> = { decode?(value: unknown): T | undefined; encode?(value: T): Uint8Array }

export function json<S extends z.ZodType>(schema: S, fast: Fast<z.output<S>> = {}): Body<z.output<S>> {
  return {
    contentType: 'application/json',
    schema,
    decode(bytes) {
      const value = parseJson(bytes)
      return fast.decode?.(value) ?? decodeWith(schema, value)
    },
    encode: fast.encode ?? ((value) => Buffer.from(JSON.stringify(schema.encode(value as never)))),
  }
}

/** What an HTML form or a provider's callback posts; a name that occurs twice is malformed. */
export const form: Body<Readonly<Record<string, string>>> = {
  contentType: 'application/x-www-form-urlencoded',
  decode(bytes) {
    const pairs = [...new URLSearchParams(Buffer.from(bytes).toString('utf8'))]
    if (new Set(pairs.map(([name]) => name)).size < pairs.length)
      throw new Malformed(['body: must name each field once'])
    return Object.fromEntries(pairs)
  },
  encode: (fields) => Buffer.from(new URLSearchParams(fields).toString()),
}

/** Raw bytes under the given content type. */
export const octets = (contentType = 'application/octet-stream'): Body<Uint8Array> => ({
  contentType,
  decode: (bytes) => bytes,
  encode: (bytes) => bytes,
})

/** A protobuf message as raw bytes. */
export const protobuf = <Message>(
  codec: Codec<Message, never>,
  contentType = 'application/x-protobuf',
): Body<Message> => ({
  contentType,
  decode(bytes) {
    try {
      return codec.decode(bytes)
    } catch {
      throw new Malformed(['body: must be such a message'])
    }
  },
  encode: (message) => codec.encode(message as never).finish(),
})

/** No body: whatever arrives is not looked at. */
export const nothing: Body<undefined> = {
  contentType: undefined,
  decode: () => undefined,
  encode: () => EMPTY,
}

type Fields = Readonly<Record<string, z.ZodType>>
type Values<F extends Fields> = { readonly [K in keyof F]: z.output<F[K]> }

// biome-ignore lint/suspicious/noExplicitAny: a route of any body
type AnyBody = Body<any>

export type Route = {
  readonly method: Method
  readonly path: string
  readonly auth: Auth
  /** It lives on the provisioning socket, where nothing else does. */
  readonly socket?: 'provisioning'
  /** One line for the documents. */
  readonly summary: string
  /** The limiters that a call may meet (the rules take from them); such a route may answer 429. */
  readonly limiters: readonly string[]
  readonly params: Fields
  readonly query: Fields
  readonly headers: Fields
  readonly body: AnyBody
  /** Beyond so many bytes the answer is 413. */
  readonly maxBodyBytes: number
  readonly replies: Readonly<Record<number, AnyBody>>
}

type Declared = Pick<Route, 'method' | 'path' | 'auth' | 'summary' | 'replies'> & Partial<Route>
type Complete<R extends Declared> = {
  readonly method: R['method']
  readonly path: R['path']
  readonly auth: R['auth']
  readonly socket?: 'provisioning'
  readonly summary: string
  readonly limiters: readonly string[]
  readonly params: R['params'] extends Fields ? R['params'] : Record<never, never>
  readonly query: R['query'] extends Fields ? R['query'] : Record<never, never>
  readonly headers: R['headers'] extends Fields ? R['headers'] : Record<never, never>
  readonly body: R['body'] extends AnyBody ? R['body'] : Body<undefined>
  readonly maxBodyBytes: number
  readonly replies: R['replies']
}

/** Declares a route; what is left out is empty. */
export function route<const R extends Declared>(declared: R): Complete<R> {
  const empty = { limiters: [], params: {}, query: {}, headers: {}, body: nothing }
  const complete = { ...empty, maxBodyBytes: MAX_BODY_BYTES, ...declared }
  return complete as unknown as Complete<R>
}

export type Credentials = { readonly username: string; readonly password: string }

/** How a caller of a `device-or-unidentified` route proves that it may ask. */
export type Access =
  | { readonly kind: 'device'; readonly device: DeviceAddress }
  | { readonly kind: 'access-key'; readonly key: Uint8Array }
  | { readonly kind: 'group-send-token'; readonly token: Uint8Array }
  /** Claims that the target lets everybody in; over REST that is any access key. */
  | { readonly kind: 'unrestricted' }
  | { readonly kind: 'none' }
/** The same of a caller that does not say who it is. */
export type Unidentified = Exclude<Access, { kind: 'device' }>

type Caller = {
  device: DeviceAddress
  'device-or-unidentified': Access
  unidentified: Unidentified
  anonymous: undefined
  none: undefined
  basic: Credentials
}

type BodyValue<B> = B extends Body<infer T> ? T : never

/** What a handler gets: every value decoded, the caller established. */
export type CallOf<R extends Route> = {
  readonly params: Values<R['params']>
  readonly query: Values<R['query']>
  readonly headers: Values<R['headers']>
  readonly body: BodyValue<R['body']>
  readonly caller: Caller[R['auth']]
  /** The client's address as a limiter key (IPv6 cut to its /64). */
  readonly remoteAddress: string
  readonly userAgent: string | undefined
  readonly acceptLanguage: string | undefined
  readonly door: 'rest' | 'websocket'
  readonly asker: Asker
}

/** Whoever waits for the answer. `onGone` tells once that nobody does any more, at once if that is so already. */
export type Asker = { onGone(tell: () => void): { cancel(): void } }

type ReplyFor<Status, B> = [BodyValue<B>] extends [undefined]
  ? { readonly status: Status; readonly headers?: Readonly<Record<string, string>> }
  : {
      readonly status: Status
      readonly body: BodyValue<B>
      readonly headers?: Readonly<Record<string, string>>
    }

/** One of the declared replies; another status does not compile. */
export type ReplyOf<R extends Route> = {
  [S in keyof R['replies']]: ReplyFor<S extends `${infer N extends number}` ? N : S, R['replies'][S]>
}[keyof R['replies']]

export type Handler<R extends Route> = (call: CallOf<R>) => Promise<ReplyOf<R>>
export type Routes = Readonly<Record<string, Route>>
/** A handler for every operation of a capability; a forgotten one does not compile. */
export type Handlers<R extends Routes> = { readonly [K in keyof R]: Handler<R[K]> }

/** Whether somebody is known: asked before a long body is read, and before the call. */
export type Admits = (credentials: Credentials) => boolean
export type Bound = {
  readonly name: string
  readonly route: Route
  readonly handle: Handler<Route>
  /** Asked of `basic` credentials; without it everybody is. */
  readonly admits?: Admits | undefined
}

/** Binds a capability's handlers to its routes. */
export const implement = <const R extends Routes>(
  routes: R,
  handlers: Handlers<R>,
  admits?: Admits,
): Bound[] =>
  Object.entries(routes).map(([name, declared]) => ({
    name,
    route: declared,
    handle: handlers[name] as unknown as Handler<Route>,
    admits,
  }))
