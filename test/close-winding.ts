// Closes a server whose clock is wound by hand: it gives up the sockets that clients hold after a while, by that clock.
import type { ManualClock } from '../server/kit/clock.ts'
import type { Constellation } from './constellation.ts'
import { until } from './until.ts'

export async function closeWinding(server: Constellation, clock: ManualClock): Promise<void> {
  let closed = false
  const closing = server.close().finally(() => {
    closed = true
  })
  await until(() => {
    clock.advance(20)
    return closed
  }, 'the server to be closed')
  await closing
}
