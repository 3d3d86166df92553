// What operators count of the file store: one function an event, nothing about anybody in any of them.
import type { Counters } from '../kit/counters.ts'
import { type Log, silentLog } from '../kit/log.ts'

export type FileEvents = ReturnType<typeof fileEvents>

export const fileEvents = (counters: Counters, log: Log = silentLog) => ({
  uploaded(bytes: number): void {
    counters.add('files.uploaded')
    counters.add('files.uploadedBytes', bytes)
  },
  downloaded(): void {
    counters.add('files.downloaded')
  },
  /** By disk or by quota: somebody has to make room. */
  full(): void {
    counters.add('files.full')
  },
  /** Somebody was told to come again later, because the store is not to be had. */
  unavailable(): void {
    counters.add('files.unavailable')
  },
  /** A request to the bucket failed; it may be tried again. `code` is S3's word for why. */
  bucketFailed(code: string): void {
    counters.add('files.bucketFailures')
    log.warn('files.bucketFailed', { code })
  },
})
