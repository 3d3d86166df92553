// The doors over real sockets, with a few routes of their own and no capability behind them.
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import { openCertificates } from '../server/kit/certificates.ts'
import { ManualClock, systemClock } from '../server/kit/clock.ts'
import { openDoors } from '../server/kit/doors.ts'
import { GrpcDoor } from '../server/kit/grpc.ts'
import { Router } from '../server/kit/router.ts'
import { type Admit, type Connection, WebSocketDoor } from '../server/kit/websocket.ts'
import type { Ready } from '../server/up.ts'
import { type Bound, implement, json, nothing, octets, route } from '../wire/route.ts'
import { Inbox } from './client/inbox.ts'
import { temporaryFolder } from './engines.ts'
import { until } from './until.ts'

const text = z.string().optional()
const HEADERS = { 'x-colour': text, authorization: text, 'x-forwarded-for': text, 'sec-websocket-key': text }
const about = { auth: 'none', summary: '' } as const
const routes = {
  echo: route({ ...about, method: 'POST', path: '/echo', body: octets(), replies: { 200: octets() } }),
  echoMore: route({
    ...about,
    method: 'POST',
    path: '/echo/more',
    body: octets(),
    maxBodyBytes: 600 * 1024,
    replies: { 200: octets() },
  }),
  headers: route({
    ...about,
    method: 'GET',
    path: '/headers',
    headers: HEADERS,
    replies: { 200: json(z.record(z.string(), z.unknown())) },
  }),
  none: route({ ...about, method: 'GET', path: '/none', replies: { 204: nothing } }),
  same: route({ ...about, method: 'GET', path: '/same', replies: { 304: nothing } }),
  look: route({ ...about, method: 'HEAD', path: '/look', replies: { 200: nothing } }),
  patient: route({ ...about, method: 'GET', path: '/patient', replies: { 204: nothing } }),
  slow: route({ ...about, method: 'POST', path: '/slow', body: octets(), replies: { 200: octets() } }),
}

/** A gate in front of `POST /slow`. */
export class Gate {
  waiting = 0
  readonly #open = Promise.withResolvers<void>()

  async pass(): Promise<void> {
    this.waiting++
    await this.#open.promise
  }

  open(): void {
    this.#open.resolve()
  }
}

/** `/refused` is 403 with a header, `/v1/websocket/` is a socket with a header; nothing lives elsewhere. */
const admitTo =
  (sockets: Inbox<Connection>): Admit =>
  async ({ path }) => {
    if (path === '/refused') return { admitted: false, status: 403, headers: { 'Retry-After': '7' } }
    if (path !== '/v1/websocket/') return undefined
    const headers = { 'X-Signal-Alert': 'none' }
    return { admitted: true, device: undefined, headers, opened: (connection) => sockets.put(connection) }
  }

export async function openDoor(t: TestContext) {
  const folder = await temporaryFolder(t)
  const certificates = await openCertificates({
    secretsFolder: join(folder, 'secrets'),
    dataFolder: folder,
    hosts: ['127.0.0.1'],
    nowMs: Date.now(),
  })
  const clock = new ManualClock()
  const gate = new Gate()
  const waiting = new Inbox<'comes' | 'goes'>('somebody who waits')
  const bugs: unknown[] = []
  const onBug = (error: unknown) => void bugs.push(error)
  const bound = implement(routes, {
    echo: async ({ body }) => ({ status: 200, body }),
    echoMore: async ({ body }) => ({ status: 200, body }),
    headers: async ({ headers, userAgent }) => ({ status: 200, body: { ...headers, userAgent } }),
    none: async () => ({ status: 204 }),
    same: async () => ({ status: 304 }),
    look: async () => ({ status: 200 }),
    patient: async ({ asker }) => {
      waiting.put('comes')
      await new Promise<void>((resolve) => asker.onGone(resolve))
      waiting.put('goes')
      return { status: 204 }
    },
    slow: async ({ body }) => {
      await gate.pass()
      return { status: 200, body }
    },
  })
  const authenticate = async () => undefined
  const router = new Router(bound, { authenticate, clock, onBug })
  const sockets = new Inbox<Connection>('connection')
  const websockets = new WebSocketDoor({ router, clock, admit: admitTo(sockets) })
  const grpc = new GrpcDoor({ methods: [], authenticate, clock, onBug })
  const { key, cert } = certificates
  const doors = await openDoors({
    ...{ tls: { key, cert }, router, websockets, grpc, clock },
    ...{ maxConnectionsPerAddress: 2, host: '127.0.0.1', port: 0 },
  })
  const ready = {
    urls: { chat: `https://localhost:${doors.port}` },
    tls: { caPem: certificates.caPemFile },
  } as unknown as Ready
  /** Closes the doors, with the clock going on. */
  const close = async (graceMs: number) => {
    let closed = false
    const closing = doors.close(graceMs).then(() => {
      closed = true
    })
    await until(() => {
      clock.advance(20)
      return closed
    }, 'the doors to be closed')
    await closing
  }
  t.after(async () => {
    gate.open()
    await close(0)
    if (bugs.length > 0) throw new AggregateError(bugs, 'the doors met bugs of their own')
  })
  return { ready, doors, clock, gate, waiting, sockets, websockets, close }
}

/** The doors with somebody's own routes, on the clock of the host. */
export async function openOwnDoor(t: TestContext, rest: readonly Bound[]) {
  const folder = await temporaryFolder(t)
  const { key, cert, caPemFile } = await openCertificates({
    secretsFolder: join(folder, 'secrets'),
    dataFolder: folder,
    hosts: ['localhost', '127.0.0.1'],
    nowMs: Date.now(),
  })
  const bugs: unknown[] = []
  const onBug = (error: unknown) => void bugs.push(error)
  const shared = { authenticate: async () => undefined, clock: systemClock, onBug }
  const router = new Router(rest, shared)
  const websockets = new WebSocketDoor({ router, clock: systemClock, admit: async () => undefined })
  const grpc = new GrpcDoor({ ...shared, methods: [] })
  const doors = await openDoors({
    ...{ tls: { key, cert }, router, websockets, grpc, clock: systemClock },
    ...{ maxConnectionsPerAddress: 100, host: '127.0.0.1', port: 0 },
  })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= doors.close(0)
    return closing
  }
  t.after(async () => {
    await close()
    if (bugs.length > 0) throw new AggregateError(bugs, 'the doors met bugs of their own')
  })
  return { url: `https://localhost:${doors.port}`, caPemFile, close }
}
