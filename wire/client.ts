// A typed client of any route, over whatever carries a request: HTTPS, a websocket, a test's own door.
import type { z } from 'zod'
import type { CallOf, Method, ReplyOf, Route } from './route.ts'

export type WireReply = {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export type Transport = (
  method: Method,
  /** Path and query. */
  target: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
) => Promise<WireReply>

type Optional<T> = { [K in keyof T as undefined extends T[K] ? K : never]?: T[K] }
type Required<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] }
type Given<T> = Optional<T> & Required<T>
/** A part that is empty, or optional in every field, may be left out. */
type Part<Name extends string, T> =
  Record<never, never> extends Given<T>
    ? { readonly [N in Name]?: Given<T> }
    : { readonly [N in Name]: Given<T> }

/** What a call of the route needs: values, not wire strings. */
export type ArgumentsOf<R extends Route> = Part<'params', CallOf<R>['params']> &
  Part<'query', CallOf<R>['query']> &
  Part<'headers', CallOf<R>['headers']> &
  ([CallOf<R>['body']] extends [undefined]
    ? { readonly body?: undefined }
    : { readonly body: CallOf<R>['body'] }) & {
    /** Headers of the transport's own: credentials, access keys. */
    readonly extra?: Readonly<Record<string, string>>
  }

/** An answer that the route does not declare: a general refusal (401, 422, 429, …), or no answer of ours. */
export class UnexpectedStatus extends Error {
  override readonly name = 'UnexpectedStatus'
  readonly reply: WireReply
  constructor(reply: WireReply) {
    super(`status ${reply.status}`)
    this.reply = reply
  }
}

type Fields = Readonly<Record<string, z.ZodType>>

function encodeFields(fields: Fields, values: Readonly<Record<string, unknown>> = {}): [string, string][] {
  return Object.entries(fields).flatMap(([name, schema]): [string, string][] => {
    if (values[name] === undefined) return []
    return [[name, String(schema.encode(values[name] as never))]]
  })
}

function targetOf(route: Route, params: [string, string][], query: [string, string][]): string {
  const byName = new Map(params)
  const path = route.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(byName.get(name) ?? ''))
  const search = new URLSearchParams(query).toString()
  return search === '' ? path : `${path}?${search}`
}

type LooseArguments = {
  readonly [Name in 'params' | 'query' | 'headers' | 'extra']?: Readonly<Record<string, unknown>>
} & {
  readonly body?: unknown
}

/** Calls a route. Throws `UnexpectedStatus` for one that it does not declare, `Malformed` if the body is not as declared. */
export async function callRoute<R extends Route>(
  transport: Transport,
  route: R,
  given: ArgumentsOf<R>,
): Promise<ReplyOf<R>> {
  const { params, query, headers, extra, body } = given as LooseArguments
  const target = targetOf(route, encodeFields(route.params, params), encodeFields(route.query, query))
  const { contentType } = route.body
  const sent: Record<string, string> = {
    ...(contentType !== undefined && { 'content-type': contentType }),
    ...Object.fromEntries(encodeFields(route.headers, headers)),
    ...(extra as Record<string, string> | undefined),
  }
  const reply = await transport(route.method, target, sent, route.body.encode(body))
  const declared = route.replies[reply.status]
  if (!declared) throw new UnexpectedStatus(reply)
  const value = declared.contentType === undefined ? undefined : declared.decode(reply.body)
  return {
    status: reply.status,
    headers: reply.headers,
    ...(value !== undefined && { body: value }),
  } as unknown as ReplyOf<R>
}
