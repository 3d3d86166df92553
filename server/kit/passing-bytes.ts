// Bodies pass through the process in buffers that nobody holds. V8 lets about 64 MB of those gather before it looks for
// garbage, as they lie outside its heap: here it is told to look sooner (docs/decisions/streamed-memory.md).
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** So many bytes may have become garbage; to look then takes less than a millisecond. */
const LOOK_EVERY_BYTES = 2_000_000

type Collect = (options: { readonly type: 'minor' }) => void

let collect: Collect | undefined
let passedBytes = 0

/** These bytes came or went, and are not needed any more. Rarely takes long: the youngest objects are looked through. */
export function passed(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < LOOK_EVERY_BYTES) return
  passedBytes = 0
  collect ??= collector()
  collect({ type: 'minor' })
}

function collector(): Collect {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as Collect
}
