// Uploads that clients make at the bucket itself. They come to a place of their own, where nothing is served; what came is
// measured, and copied to its name inside the bucket, when somebody asks for that name or the collector comes by. So a
// client that puts twice overwrites nothing but what nobody saw.
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type { Quota } from '../disk/quota.ts'
import { FileRefusal } from '../file-store.ts'
import type { Bucket } from './bucket.ts'
import {
  type DirectRecord,
  readDirectRecords,
  removeDirectRecord,
  writeDirectRecord,
} from './direct-record.ts'

export type DirectUploadsOptions = {
  readonly bucket: Bucket
  /** Of the records, on the local disk. */
  readonly folder: string
  readonly clock: Clock
  readonly random: Random
}

/** So long an address can be used. */
export const DIRECT_VALID_MS = 15 * 60_000
/** The bucket's clock may be behind ours, and what began in time may take its time to come. */
const COMES_UNTIL_MS = DIRECT_VALID_MS + 3_600_000
/** S3: the longest `PUT`, and the longest copy. */
const MAX_BYTES = 5 * 1024 ** 3
const PLACE = 'incoming/'
const ID_BYTES = 16

export class DirectUploads {
  readonly #options: DirectUploadsOptions
  readonly #expected = new Map<string, DirectRecord>()

  private constructor(options: DirectUploadsOptions) {
    this.#options = options
  }

  static async open(options: DirectUploadsOptions): Promise<DirectUploads> {
    const uploads = new DirectUploads(options)
    for (const record of await readDirectRecords(options.folder)) uploads.#expected.set(record.key, record)
    return uploads
  }

  /** Bytes for which room is kept. */
  get expectedBytes(): number {
    return this.expectedKeys.reduce((sum, key) => sum + this.#expected.get(key)!.length, 0)
  }
  get expectedKeys(): readonly string[] {
    return [...this.#expected.keys()]
  }

  isExpected(key: string): boolean {
    return this.#expected.has(key)
  }

  /** An address that takes exactly so many bytes for a key; the same place if it is asked for again. */
  async begin(key: string, length: number, quota: Quota): Promise<string> {
    const { bucket, folder, clock, random } = this.#options
    if (length > MAX_BYTES) throw new FileRefusal('too-long')
    const before = this.#expected.get(key)
    if (before && before.length !== length) await this.forget(key, quota)
    const record: DirectRecord = {
      ...{ key, length, expiresAtMs: clock.nowMs() + COMES_UNTIL_MS },
      id: this.#expected.get(key)?.id ?? random.bytes(ID_BYTES).toString('base64url'),
    }
    if (!this.#expected.has(key)) quota.take(length)
    this.#expected.set(key, record)
    await writeDirectRecord(folder, record)
    return bucket.addressToPut(PLACE + record.id, length, DIRECT_VALID_MS)
  }

  /** Puts what came to its name, if it did. Whoever calls it does nothing else about this key meanwhile. */
  async adopt(key: string): Promise<void> {
    const { bucket, folder } = this.#options
    const record = this.#expected.get(key)
    if (!record) return
    const there = await bucket.find(key)
    const came = there ? undefined : await bucket.find(PLACE + record.id)
    if (!there && came?.length !== record.length) return
    if (came) await bucket.copy(PLACE + record.id, came.etag, { key, madeBy: record.id })
    this.#expected.delete(key)
    await removeDirectRecord(folder, record)
    await bucket.delete(PLACE + record.id)
  }

  /** Nothing that comes is taken any more. */
  async forget(key: string, quota: Quota): Promise<void> {
    const { bucket, folder } = this.#options
    const record = this.#expected.get(key)
    if (!record) return
    this.#expected.delete(key)
    quota.give(record.length)
    await removeDirectRecord(folder, record)
    await bucket.delete(PLACE + record.id)
  }

  isLate(key: string): boolean {
    const record = this.#expected.get(key)
    return record !== undefined && record.expiresAtMs < this.#options.clock.nowMs()
  }

  /** What came to a place after it was left. */
  async collectStrays(isRecent: (atMs: number) => boolean): Promise<void> {
    const { bucket } = this.#options
    const expected = new Set([...this.#expected.values()].map(({ id }) => PLACE + id))
    for await (const { key, storedAtMs } of bucket.list(PLACE, { isOurs: (one) => one.startsWith(PLACE) }))
      if (!expected.has(key) && !isRecent(storedAtMs)) await bucket.delete(key)
  }
}
