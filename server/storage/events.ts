// What operators count of the storage service: one function an event, nothing about anybody in any of them.
import type { Counters } from '../kit/counters.ts'

export type StorageEvents = ReturnType<typeof storageEvents>

export const storageEvents = (counters: Counters) => ({
  /** Or somebody else's write came before. */
  recordsWritten(won: boolean): void {
    counters.add(won ? 'records.written' : 'records.conflicts')
  },
  groupCreated(): void {
    counters.add('groups.created')
  },
  /** Or somebody else's change came before. */
  groupChanged(won: boolean): void {
    counters.add(won ? 'groups.changed' : 'groups.conflicts')
  },
})
