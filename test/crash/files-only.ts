// A process that is the file store and nothing else, so that it is up soon after it was killed: the real store, forms
// and port, and little else loaded. Its argument is a `Birth` as JSON; tells over IPC where it is.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DiskStore } from '../../server/files/disk/disk-store.ts'
import { fileEvents } from '../../server/files/events.ts'
import { openFiles } from '../../server/files/files.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { Counters } from '../../server/kit/counters.ts'
import { type DoorsOptions, openDoors } from '../../server/kit/doors.ts'
import { systemRandom } from '../../server/kit/random.ts'
import type { Secrets } from '../../server/kit/secrets.ts'
import { UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { CRASH_KEYS } from './crash-keys.ts'

export type Birth = {
  readonly data: string
  readonly tls: { readonly keyFile: string; readonly certFile: string }
  /** How far its clock is ahead. */
  readonly aheadMs: number
}
export type Up = { readonly port: number }
/** The answer to any message. */
export type Used = { readonly usedBytes: number }

const { data, tls, aheadMs } = JSON.parse(process.argv[2]!) as Birth
const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
let port = 0
const url = (cdn: number) => `https://localhost:${port}/cdn${cdn}`
const files = await openFiles({
  ...{ clock, random: systemRandom, events: fileEvents(new Counters()) },
  secrets: { uploads: UploadKeyRing.of(CRASH_KEYS) } as Secrets,
  urls: () => ({ cdn0: url(0), cdn2: url(2), cdn3: url(3) }),
  folder: join(data, 'files'),
  maxBytes: 10 ** 12,
  onBug: (error) => void process.stderr.write(`${(error as Error).stack}\n`),
})
/** Nothing but streams comes to this port. */
const NOBODY = {} as Pick<DoorsOptions, 'router' | 'grpc' | 'websockets'>
const doors = await openDoors({
  ...NOBODY,
  ...{ clock, host: '127.0.0.1', port: 0, maxConnectionsPerAddress: 1000, streams: files.serve },
  tls: { key: readFileSync(tls.keyFile, 'utf8'), cert: readFileSync(tls.certFile, 'utf8') },
})
port = doors.port
process.on('message', () => {
  process.send?.({ usedBytes: (files.store as DiskStore).usedBytes } satisfies Used)
})
process.once('disconnect', () => process.exit())
process.send?.({ port } satisfies Up)
