// libsignal's registration service has no way to be closed: what is left of one when the process ends aborts it.
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** What the library's own threads need to let go of what was collected. */
const SETTLE_MS = 30

let planned = false

/** Has whatever nobody refers to any more collected while the event loop still lives, just before the end. */
export function releaseBeforeExit(): void {
  if (planned) return
  planned = true
  process.once('beforeExit', () => {
    setFlagsFromString('--expose-gc')
    runInNewContext('gc')()
    void setTimeout(SETTLE_MS)
  })
}
