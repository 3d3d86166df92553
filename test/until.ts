import { setImmediate } from 'node:timers/promises'
import { within } from './within.ts'

/** Resolves as soon as it is so. */
export async function until(isSo: () => boolean, what: string, limitMs?: number): Promise<void> {
  let given = false
  const look = async () => {
    while (!given && !isSo()) await setImmediate()
  }
  await within(look(), what, limitMs).finally(() => {
    given = true
  })
}
