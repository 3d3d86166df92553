// Every gRPC service of the contract: a new proto is here by itself.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Rpc, Service } from '../wire/service.ts'

const GEN = join(import.meta.dirname, '..', 'wire', 'gen')
const isService = (value: unknown): value is Service =>
  typeof value === 'object' && value !== null && 'rpcs' in value && 'auth' in value

const modules: object[] = await Promise.all(
  readdirSync(GEN)
    .filter((name) => name.endsWith('.js') && name !== 'codecs.js')
    .sort()
    .map((name) => import(join(GEN, name)) as Promise<object>),
)

export const SERVICES: readonly Service[] = modules.flatMap((one) => Object.values(one)).filter(isService)

export type NamedRpc = { readonly service: Service; readonly rpc: Rpc }
export const RPCS: readonly NamedRpc[] = SERVICES.flatMap((service) =>
  Object.values(service.rpcs).map((rpc) => ({ service, rpc })),
)
