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

export type GrpcHandler<R extends Rpc, Call> = (
  request: MessageOf<R['request']>,
  call: Call,
) => Promise<InitOf<R['response']>>

/** Every RPC by name. `unimplemented` is answered as such; the door is unary, so a stream can be nothing else. */
export type GrpcHandlers<S extends Service> = {
  readonly [Name in keyof S['rpcs']]: S['rpcs'][Name]['stream'] extends true
    ? 'unimplemented'
    : GrpcHandler<S['rpcs'][Name], CallOf<S>> | 'unimplemented'
}

/** An RPC behind the door. */
export type GrpcMethod = {
  readonly auth: Service['auth']
  readonly rpc: Rpc
  readonly maxRequestBytes: number
  // biome-ignore lint/suspicious/noExplicitAny: typed by GrpcHandlers
  readonly handle: GrpcHandler<Rpc<any, any>, any>
}

const MAX_REQUEST_BYTES = 512 * 1024

export function implementService<S extends Service>(service: S, handlers: GrpcHandlers<S>): GrpcMethod[] {
  return Object.entries(service.rpcs).flatMap(([name, rpc]) => {
    const handle = (handlers as Readonly<Record<string, GrpcMethod['handle'] | 'unimplemented'>>)[name]
    if (handle === undefined || handle === 'unimplemented') return []
    return [{ auth: service.auth, rpc, maxRequestBytes: rpc.maxRequestBytes ?? MAX_REQUEST_BYTES, handle }]
  })
}
