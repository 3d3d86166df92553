// A service's methods from its description and its handlers: a forgotten RPC does not compile.
import type { InitOf, MessageOf, Rpc, Service } from '../../wire/service.ts'
import type { DeviceAddress } from '../../wire/types.ts'

/** What a handler may know of a caller who stays unknown. */
export type AnonymousCall = {
  readonly remoteAddress: string
  readonly userAgent: string | undefined
  readonly acceptLanguage: string | undefined
}
export type DeviceCall = AnonymousCall & { readonly device: DeviceAddress }
export type CallOf<S extends Service> = S['auth'] extends 'device' ? DeviceCall : AnonymousCall

/**
 * Where a streaming handler puts its replies. The call is over when the handler returns (OK) or throws, when the client
 * goes away, at its deadline, when the server stops: then `over` is aborted, and whatever waits on the call rejects.
 */
export type Replies<Reply> = {
  readonly over: AbortSignal
  /** The client takes bytes more slowly than it is sent them. */
  readonly congested: boolean
  /** Sends, and resolves when there is room for another. Rejects if the call is over. */
  send(reply: Reply): Promise<void>
  /** Sends at once, for whoever looks at `congested` and `onRoom`; what is said after the end is dropped. */
  write(reply: Reply): void
  /** Told each time that there is room again after `congested`. */
  onRoom(listener: () => void): void
  /** Ends the call as if the handler had thrown `error`. */
  fail(error: Error): void
}

export type GrpcHandler<R extends Rpc, Call> = (
  request: MessageOf<R['request']>,
  call: Call,
) => Promise<InitOf<R['response']>>

/** One request, any number of replies. */
export type RepliesHandler<R extends Rpc, Call> = (
  request: MessageOf<R['request']>,
  replies: Replies<InitOf<R['response']>>,
  call: Call,
) => Promise<void>

/** Requests are read from the network as they are asked for; they end when the client says that it is done. */
export type StreamHandler<R extends Rpc, Call> = (
  requests: AsyncIterableIterator<MessageOf<R['request']>>,
  replies: Replies<InitOf<R['response']>>,
  call: Call,
) => Promise<void>

type HandlerOf<R extends Rpc, Call> = R['stream'] extends false
  ? GrpcHandler<R, Call>
  : R['stream'] extends 'replies'
    ? RepliesHandler<R, Call>
    : StreamHandler<R, Call>

/** Every RPC by name. `unimplemented` is answered as such. */
export type GrpcHandlers<S extends Service> = {
  readonly [Name in keyof S['rpcs']]: HandlerOf<S['rpcs'][Name], CallOf<S>> | 'unimplemented'
}

// biome-ignore-start lint/suspicious/noExplicitAny: typed by GrpcHandlers
type AnyRpc = Rpc<any, any>
type Behind<Kind, Handle> = {
  readonly kind: Kind
  readonly auth: Service['auth']
  readonly rpc: Rpc
  readonly maxRequestBytes: number
  readonly handle: Handle
}
export type UnaryMethod = Behind<false, GrpcHandler<AnyRpc, any>>
export type StreamMethod =
  | Behind<'replies', RepliesHandler<AnyRpc, any>>
  | Behind<'both', StreamHandler<AnyRpc, any>>
// biome-ignore-end lint/suspicious/noExplicitAny: typed by GrpcHandlers

/** An RPC behind the door. */
export type GrpcMethod = UnaryMethod | StreamMethod

const MAX_REQUEST_BYTES = 512 * 1024

export function implementService<S extends Service>(service: S, handlers: GrpcHandlers<S>): GrpcMethod[] {
  return Object.entries(service.rpcs).flatMap(([name, rpc]) => {
    const handle = (handlers as Readonly<Record<string, unknown>>)[name]
    if (handle === undefined || handle === 'unimplemented') return []
    const { auth } = service
    const maxRequestBytes = rpc.maxRequestBytes ?? MAX_REQUEST_BYTES
    return [{ kind: rpc.stream, auth, rpc, maxRequestBytes, handle } as GrpcMethod]
  })
}
