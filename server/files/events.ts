// What operators count of the file store: one function an event, nothing about anybody in any of them.
import type { Counters } from '../kit/counters.ts'

export type FileEvents = ReturnType<typeof fileEvents>

export const fileEvents = (counters: Counters) => ({
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
})
