import { setImmediate } from 'node:timers/promises'

const LIMIT_MS = 15_000

/** The promise, or an error that names what did not come in time. */
export async function within<T>(promise: Promise<T>, what: string, limitMs = LIMIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${limitMs} ms for ${what}`)), limitMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Looks again and again until it is so; for what the server tells nobody of. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  let late = false
  const look = async () => {
    // A look that waits for nothing would keep the timer from ending it.
    while (!late && !(await isSo())) await setImmediate()
  }
  await within(look(), what).finally(() => {
    late = true
  })
}
