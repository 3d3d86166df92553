// The doors alone, with limits short enough to wait for, over one route that says what it was told.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { openCertificates } from '../../server/kit/certificates.ts'
import { systemClock as clock } from '../../server/kit/clock.ts'
import { type Doors, type DoorsOptions, openDoors } from '../../server/kit/doors.ts'
import { GrpcDoor } from '../../server/kit/grpc.ts'
import { implementService } from '../../server/kit/grpc-service.ts'
import { Router } from '../../server/kit/router.ts'
import { WebSocketDoor } from '../../server/kit/websocket.ts'
import { EcPreKey } from '../../wire/gen/common.js'
import { implement, json, route } from '../../wire/route.ts'
import type { Service } from '../../wire/service.ts'

/** A gRPC call that says everything again, for as long as its client likes. */
const chat = { request: EcPreKey, response: EcPreKey, stream: 'both', longLived: true } as const
export const Chat = {
  name: 'test.Chat',
  auth: 'anonymous',
  rpcs: { chat: { path: '/test.Chat/Chat', ...chat } },
} as const satisfies Service

const said = json(z.object({ said: z.string() }))
const routes = {
  say: route({
    method: 'PUT',
    path: '/say',
    auth: 'none',
    summary: 'Says it again',
    body: said,
    replies: { 200: said },
  }),
}

export type BareDoors = AsyncDisposable & {
  readonly doors: Doors
  readonly port: number
  readonly ca: Buffer
  readonly url: string
}

export async function openBareDoors(
  options: Partial<Pick<DoorsOptions, 'timeouts' | 'countLoopback' | 'maxConnectionsPerAddress' | 'streams'>>,
): Promise<BareDoors> {
  const folder = await mkdtemp(join(tmpdir(), 'helio-doors-'))
  const certificates = await openCertificates({
    secretsFolder: join(folder, 'secrets'),
    dataFolder: folder,
    hosts: ['localhost'],
    nowMs: clock.nowMs(),
  })
  const onBug = (error: unknown) => {
    throw error
  }
  const bound = implement(routes, { say: async ({ body }) => ({ status: 200, body }) })
  const router = new Router(bound, { authenticate: async () => undefined, clock, onBug })
  const anonymous = { admitted: true, device: undefined, headers: {}, opened: () => {} } as const
  const websockets = new WebSocketDoor({ router, clock, admit: async () => anonymous })
  const methods = implementService(Chat, {
    async chat(requests, replies) {
      for await (const request of requests) await replies.send(request)
    },
  })
  const grpc = new GrpcDoor({ methods, clock, onBug, authenticate: () => undefined })
  const settings = { maxConnectionsPerAddress: 1000, host: '127.0.0.1', port: 0, ...options }
  const doors = await openDoors({ tls: certificates, router, websockets, grpc, clock, ...settings })
  const ca = await readFile(certificates.caPemFile)
  return {
    doors,
    port: doors.port,
    ca,
    url: `https://localhost:${doors.port}`,
    async [Symbol.asyncDispose]() {
      await doors.close(0)
      await rm(folder, { recursive: true, force: true })
    },
  }
}
