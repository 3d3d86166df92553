// Attachments live for so many days. Which ones came on a day is in a file of that day, so that what is due is found
// without looking at what is not.
import { createReadStream } from 'node:fs'
import { access, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Clock } from '../kit/clock.ts'
import { DAY_MS, dayOf } from '../kit/days.ts'
import { FILE_MODE, makeFolder, refuseIfFull, syncFolder } from './disk/folders.ts'
import type { FileStore } from './file-store.ts'
import { isObjectKey } from './object-key.ts'

export type Existing = { readonly key: string; readonly storedAtMs: number }

export type ExpiryOptions = {
  readonly folder: string
  readonly store: Pick<FileStore, 'stat' | 'delete'>
  readonly clock: Clock
  readonly days: number
  /** What is there already when the folder is made. */
  readonly existing?: AsyncIterable<Existing> | undefined
}

const EXPIRES = /^attachments\//
/** Who asks again and again for one upload does not make the file of the day long. */
const REMEMBERED = 1000
const LINES_AT_ONCE = 10_000

type Line = { readonly key: string; readonly done: () => void; readonly failed: (error: unknown) => void }

export class Expiry {
  readonly #options: ExpiryOptions
  readonly #latest = new Set<string>()
  #waiting: Line[] = []
  #isWriting = false

  private constructor(options: ExpiryOptions) {
    this.#options = options
  }

  static async open(options: ExpiryOptions): Promise<Expiry> {
    const { folder, existing } = options
    const isThere = await access(folder).then(
      () => true,
      () => false,
    )
    if (!isThere) await makeAnew(folder, existing)
    return new Expiry(options)
  }

  /** Before an upload begins: on disk when it resolves. Refuses (`full`) if the disk has no room. */
  async remember(key: string): Promise<void> {
    if (!EXPIRES.test(key)) return
    const today = `${dayOf(this.#options.clock.nowMs())} ${key}`
    if (this.#latest.has(today)) return
    await this.#write(key).catch(refuseIfFull)
    this.#latest.add(today)
    if (this.#latest.size > REMEMBERED) this.#latest.delete(this.#latest.values().next().value!)
  }

  /** Deletes what is due. A file of a day goes when nothing of it is left; a round that breaks off is done again. */
  async sweep(closing?: AbortSignal): Promise<void> {
    const { folder, clock, days } = this.#options
    for (const name of await readdir(folder)) {
      if (closing?.aborted) return
      const isOver = /^\d+$/.test(name) && (Number(name) + 1 + days) * DAY_MS <= clock.nowMs()
      if (isOver) await this.#sweepDay(name, closing)
    }
  }

  async #sweepDay(name: string, closing: AbortSignal | undefined): Promise<void> {
    const { folder, store, clock, days } = this.#options
    const path = join(folder, name)
    for await (const key of createInterface({ input: createReadStream(path) })) {
      if (closing?.aborted) return
      // A crash may leave half a line at the end.
      const stored = EXPIRES.test(key) ? await statOf(store, key) : undefined
      if (!stored) continue
      if (stored.storedAtMs + days * DAY_MS <= clock.nowMs()) await store.delete(key)
      else await appendLines(folder, dayOf(stored.storedAtMs), [key])
    }
    await rm(path)
  }

  /** Who comes while others are being written shares the next write with all who came meanwhile. */
  #write(key: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ key, done: resolve, failed: reject })
    if (!this.#isWriting) void this.#writeWaiting()
    return promise
  }

  async #writeWaiting(): Promise<void> {
    const { folder, clock } = this.#options
    this.#isWriting = true
    while (this.#waiting.length > 0) {
      const lines = this.#waiting
      this.#waiting = []
      const keys = lines.map(({ key }) => key)
      try {
        await appendLines(folder, dayOf(clock.nowMs()), keys)
        for (const { done } of lines) done()
      } catch (error) {
        for (const { failed } of lines) failed(error)
      }
    }
    this.#isWriting = false
  }
}

/** What is no name of ours is nothing that is stored. */
const statOf = (store: ExpiryOptions['store'], key: string) =>
  isObjectKey(key) ? store.stat(key) : Promise.resolve(undefined)

/** Whole when it is there: a crash in the middle has it made again. */
async function makeAnew(folder: string, existing: AsyncIterable<Existing> | undefined): Promise<void> {
  const making = `${folder}.new`
  await rm(making, { recursive: true, force: true })
  await makeFolder(making)
  const days = new Map<number, string[]>()
  const flush = async () => {
    for (const [day, keys] of days) await appendLines(making, day, keys)
    days.clear()
  }
  let lines = 0
  for await (const { key, storedAtMs } of existing ?? []) {
    const day = dayOf(storedAtMs)
    const keys = days.get(day) ?? []
    days.set(day, keys)
    keys.push(key)
    if (++lines % LINES_AT_ONCE === 0) await flush()
  }
  await flush()
  await rename(making, folder)
  await syncFolder(join(folder, '..'))
}

async function appendLines(folder: string, day: number, keys: readonly string[]): Promise<void> {
  const path = join(folder, String(day))
  const isNew = await access(path).then(
    () => false,
    () => true,
  )
  const handle = await open(path, 'a', FILE_MODE)
  try {
    // A line begins on its own, whatever a crash left before it.
    await handle.write(`\n${keys.join('\n')}\n`)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  if (isNew) await syncFolder(folder)
}
