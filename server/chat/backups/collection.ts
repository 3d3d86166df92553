// Removes backups that nobody refreshes any more, and the objects of those that were given up.

import type { BackupObjects } from '../../kit/backup-objects.ts'
import type { Clock, Timer } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
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
  readonly onBug: (error: unknown, where: string) => void
}

/** Works once an hour, a page at a time; of several processes any may do any of it, and more than one the same. */
export class BackupCollection {
  readonly #options: CollectionOptions
  readonly #timer: Timer
  #running: Promise<void> = Promise.resolve()
  #waiting = 0
  #closed = false

  constructor(options: CollectionOptions) {
    this.#options = options
    this.#timer = options.clock.every(HOUR_MS, () => this.#tick())
  }

  /** Resolves when everything that is due now is done. */
  run(): Promise<void> {
    this.#waiting++
    this.#running = this.#running
      .then(() => this.#pass())
      .catch((error) => this.#options.onBug(error, 'backups: collection'))
      .finally(() => this.#waiting--)
    return this.#running
  }

  /** Unless the hour before is still at it. */
  #tick(): void {
    if (this.#waiting === 0) void this.run()
  }

  /** Resolves when nothing is under way any more. */
  close(): Promise<void> {
    this.#closed = true
    this.#timer.cancel()
    return this.#running
  }

  async #pass(): Promise<void> {
    const { store, objects, credentials, clock, graceDays, random } = this.#options
    const dueMs = clock.nowMs() - graceDays * DAY_MS
    await this.#pages(
      () => store.notRefreshedSince(dueMs, PAGE),
      (backup) => store.expire(backup, dueMs),
    )
    await this.#pages(
      () => store.mediaNotRefreshedSince(dueMs, PAGE),
      (backup) => store.expireMedia(backup, dueMs, random.bytes(FOLDER_NAME_BYTES).toString('base64url')),
    )
    await this.#pages(
      () => store.discarded(PAGE),
      async (folder) => {
        await objects.deleteFolder(folder)
        await store.forgetDiscarded(folder)
      },
    )
    if (!this.#closed) await credentials.forgetReceipts()
  }

  /** What is done leaves the list, so that the next page has others. */
  async #pages<Item>(next: () => Promise<Item[]>, work: (item: Item) => Promise<void>): Promise<void> {
    for (let full = true; full && !this.#closed; ) {
      const page = await next()
      for (const item of page) if (!this.#closed) await work(item)
      full = page.length === PAGE
    }
  }
}
