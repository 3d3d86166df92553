// Removes backups that nobody refreshes any more, and the objects of those that were given up.

import type { BackupObjects } from '../../kit/backup-objects.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { Housekeeping } from '../../kit/housekeeping.ts'
import type { Random } from '../../kit/random.ts'
import type { BackupCredentials } from './backup-credentials.ts'
import type { BackupStore } from './store.ts'

const HOUR_MS = 3_600_000
const PAGE = 100
const FOLDER_NAME_BYTES = 16

export type CollectionOptions = {
  readonly store: BackupStore
  readonly objects: BackupObjects
  readonly credentials: BackupCredentials
  readonly clock: Clock
  readonly random: Random
  readonly graceDays: number
  readonly housekeeping: Housekeeping
}

/** Works a page at a time; of several processes any may do any of it, and more than one the same. */
export class BackupCollection {
  readonly #options: CollectionOptions

  constructor(options: CollectionOptions) {
    this.#options = options
    options.housekeeping.every(HOUR_MS, 'backups.collection', (closing) => this.run(closing))
  }

  /** Resolves when everything that is due now is done, or `closing` wants it to end. */
  async run(closing?: AbortSignal): Promise<void> {
    const { store, objects, credentials, clock, graceDays, random } = this.#options
    const dueMs = clock.nowMs() - graceDays * DAY_MS
    await pages(
      closing,
      () => store.notRefreshedSince(dueMs, PAGE),
      (backup) => store.expire(backup, dueMs),
    )
    await pages(
      closing,
      () => store.mediaNotRefreshedSince(dueMs, PAGE),
      (backup) => store.expireMedia(backup, dueMs, random.bytes(FOLDER_NAME_BYTES).toString('base64url')),
    )
    await pages(
      closing,
      () => store.discarded(PAGE),
      async (folder) => {
        await objects.deleteFolder(folder)
        await store.forgetDiscarded(folder)
      },
    )
    if (!closing?.aborted) await credentials.forgetReceipts()
  }
}

/** What is done leaves the list, so that the next page has others. */
async function pages<Item>(
  closing: AbortSignal | undefined,
  next: () => Promise<Item[]>,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  for (let full = true; full && !closing?.aborted; ) {
    const page = await next()
    for (const item of page) if (!closing?.aborted) await work(item)
    full = page.length === PAGE
  }
}
