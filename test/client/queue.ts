import type { SignalServer } from '../constellation.ts'
import { until } from '../within.ts'
import { authorizationOf } from './https.ts'
import type { HttpVersion } from './net.ts'
import { RawSocket } from './raw-socket.ts'
import type { Registered } from './register.ts'

export const MESSAGE = '/api/v1/message'
export const QUEUE_EMPTY = '/api/v1/queue/empty'

/** Opens a device's socket, stories and all. */
export const openQueue = (server: SignalServer, device: Registered, httpVersion: HttpVersion) =>
  RawSocket.open(server.ready, httpVersion, {
    headers: { ...authorizationOf(device), 'x-signal-receive-stories': 'true' },
  })

/** Connects again and again until nothing is waiting for a device: what it acknowledged is gone within a moment. */
export async function untilNothingWaits(
  server: SignalServer,
  device: Registered,
  httpVersion: HttpVersion,
): Promise<void> {
  await until('an empty queue', async () => {
    await using socket = await openQueue(server, device, httpVersion)
    return (await socket.requests.next()).path === QUEUE_EMPTY
  })
}
