// RFC 9112 §9.6: whoever still sends when its connection is closed may lose the answer, unless what it sends is read for a while.
import type { IncomingMessage } from 'node:http'
import type { Clock } from './clock.ts'

/** Enough for an answer to reach a client far away; a refused client holds its connection for so long at most. */
const LINGER_MS = 2_000
/** What is on its way when the answer leaves. More is not read: the client then waits, and finds its answer. */
const LINGER_BYTES = 2 ** 20

/** Reads and drops what comes, until the request ends or it has been enough. */
export async function lingering(request: IncomingMessage, clock: Clock): Promise<void> {
  if (request.readableEnded || request.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = clock.after(LINGER_MS, resolve)
  let left = LINGER_BYTES
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) request.pause()
  })
  request.on('error', () => {}) // its end tells
  request.once('end', resolve).once('close', resolve)
  request.resume()
  await promise.finally(() => timer.cancel())
}
