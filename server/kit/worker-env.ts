// The environment of a worker thread: nothing but where compiled code is kept.
import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'

/** A thread that finds its code in the compile cache need not load the type stripper, which takes 10 MB. */
export function workerEnv(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir()
  return cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) }
}
