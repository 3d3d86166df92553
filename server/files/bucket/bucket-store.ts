// Files in a bucket of S3's kind. What was answered for is at the bucket, or on the local disk as the unfinished part of
// an upload, and survives the process and a power cut. One process only works on a bucket's prefix.
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import { FILE_MODE, makeFolder, refuseIfFull, unlessMissing } from '../disk/folders.ts'
import { Quota } from '../disk/quota.ts'
import { isRecordName, recordName } from '../disk/upload-record.ts'
import {
  type BeginOptions,
  type FileAddresses,
  FileRefusal,
  type FileStore,
  type Listed,
  type OpenFile,
  type Range,
  type Stored,
} from '../file-store.ts'
import { isObjectFolder, isObjectKey } from '../object-key.ts'
import type { Bucket } from './bucket.ts'
import { BucketUpload } from './bucket-upload.ts'
import { DirectUploads } from './direct-uploads.ts'
import {
  type PartRecord,
  partName,
  partOf,
  readPartRecord,
  sentBytes,
  writePartRecord,
} from './part-record.ts'
import { refuseIfFailed } from './s3-failure.ts'
import { Turns } from './turns.ts'

export type BucketStoreOptions = {
  readonly bucket: Bucket
  /** On the local disk: what is not finished. */
  readonly folder: string
  readonly clock: Clock
  readonly random: Random
  /** Of parts. S3 takes none but the last that is smaller than 5 MiB. */
  readonly partBytes?: number | undefined
  /** Of the whole store; as much as the bucket takes if not given. */
  readonly maxBytes?: number | undefined
  /** Called before anything is kept under a key. */
  readonly remember?: ((key: string) => Promise<void>) | undefined
  /** Whether clients are sent to the bucket to get files, or to put them. */
  readonly sends?: { readonly gets: boolean; readonly puts: boolean } | undefined
}

/** An upload to which nothing was added for so long is given up. */
export const ABANDONED_AFTER_MS = 86_400_000
export const DEFAULT_PART_BYTES = 8 * 1024 * 1024
const ID_BYTES = 16
/** So long an address can be used. */
const GET_VALID_MS = 5 * 60_000
const DELETED_AT_ONCE = 8

export class BucketStore implements FileStore {
  readonly #options: BucketStoreOptions
  readonly #bucket: Bucket
  readonly #folder: string
  readonly #direct: DirectUploads
  /** Nobody knows how full the bucket is before it was asked. */
  #quota: Quota | undefined
  /** Who may write to an upload: the last that asked. */
  readonly #writers = new Map<string, BucketUpload>()
  readonly #turns = new Turns()

  private constructor(options: BucketStoreOptions, direct: DirectUploads) {
    this.#options = options
    this.#direct = direct
    this.#bucket = options.bucket
    this.#folder = join(options.folder, 'uploads')
  }

  /** Opens without its bucket too, if that is away: what is asked of it is refused until it comes back. */
  static async open(options: BucketStoreOptions): Promise<BucketStore> {
    const { bucket, folder, clock, random } = options
    for (const part of ['uploads', 'direct']) await makeFolder(join(folder, part))
    const direct = await DirectUploads.open({ bucket, clock, random, folder: join(folder, 'direct') })
    const store = new BucketStore(options, direct)
    await store.collect().catch(unlessUnavailable)
    return store
  }

  close(): void {
    this.#bucket.close()
  }

  readonly addresses: FileAddresses = {
    toPut: async (key, length) => {
      mustBeKey(key)
      if (!this.#options.sends?.puts) return undefined
      return this.#turns.alone(key, async () => {
        const quota = await this.#counted()
        await this.#direct.adopt(key).catch(refuseIfFailed)
        if (await this.#find(key)) throw new FileRefusal('exists')
        await (await this.#unfinished(key))?.abandon()
        await this.#options.remember?.(key)
        return this.#direct.begin(key, length, quota).catch(refuseIfFailed).catch(refuseIfFull)
      })
    },
    toGet: async (key) => {
      if (!this.#options.sends?.gets || !(await this.stat(key))) return undefined
      return this.#bucket.addressToGet(key, GET_VALID_MS)
    },
  }

  async begin(key: string, maxBytes: number, options: BeginOptions = {}): Promise<BucketUpload> {
    mustBeKey(key)
    const { length, replaces = false, sha256 } = options
    if ((length ?? 0) > maxBytes) throw new FileRefusal('too-long')
    return this.#turns.alone(key, async () => {
      const quota = await this.#counted()
      await this.#direct.adopt(key).catch(refuseIfFailed)
      if (!replaces && (await this.#find(key))) throw new FileRefusal('exists')
      await (await this.#unfinished(key))?.abandon()
      await this.#direct.forget(key, quota).catch(refuseIfFailed)
      quota.mustFit(length ?? 1)
      const record: PartRecord = {
        ...{ key, maxBytes, replaces, begunAtMs: this.#options.clock.nowMs(), sent: [] },
        id: this.#options.random.bytes(ID_BYTES).toString('base64url'),
        ...(length !== undefined && { length }),
        ...(sha256 && { sha256: Buffer.from(sha256).toString('base64') }),
      }
      await Promise.all([this.#options.remember?.(key), this.#enter(record).catch(refuseIfFull)])
      return this.#writer(record)
    })
  }

  async resume(key: string): Promise<BucketUpload | undefined> {
    mustBeKey(key)
    return this.#turns.alone(key, () => this.#unfinished(key))
  }

  async stat(key: string): Promise<Stored | undefined> {
    mustBeKey(key)
    await this.#arrived(key)
    return this.#find(key)
  }

  async open(key: string): Promise<OpenFile | undefined> {
    const found = await this.stat(key)
    if (!found) return undefined
    const whole = { first: 0, last: found.length - 1 }
    return {
      ...found,
      read: (range = whole) => Readable.from(this.#bucket.read(key, range, found.etag)),
      close: async () => {},
    }
  }

  read(key: string, range?: Range): Readable {
    mustBeKey(key)
    return Readable.from(this.#read(key, range))
  }

  async *#read(key: string, range: Range | undefined): AsyncGenerator<Uint8Array> {
    const file = await this.open(key)
    if (!file) throw new Error('there is no such object')
    yield* file.read(range) as AsyncIterable<Uint8Array>
  }

  async delete(key: string): Promise<number> {
    const found = await this.stat(key)
    if (!found) return 0
    await this.#bucket.delete(key).catch(refuseIfFailed)
    this.#quota?.give(found.length)
    return found.length
  }

  async list(folder: string, after: string, limit: number): Promise<readonly Listed[]> {
    mustBeFolder(folder)
    const prefix = `${folder}/`
    const listed: Listed[] = []
    if (limit === 0) return listed
    const entries = this.#bucket.list(prefix, { after: after && prefix + after, isFlat: true })
    for await (const { key, length } of refusing(entries)) {
      listed.push({ name: key.slice(prefix.length), length })
      if (listed.length === limit) break
    }
    return listed
  }

  async deleteFolder(folder: string): Promise<void> {
    mustBeFolder(folder)
    const entries = refusing(this.#bucket.list(`${folder}/`))
    const worker = async () => {
      for (let next = await entries.next(); !next.done; next = await entries.next()) {
        await this.#bucket.delete(next.value.key).catch(refuseIfFailed)
        this.#quota?.give(next.value.length)
      }
    }
    await Promise.all(Array.from({ length: DELETED_AT_ONCE }, worker))
  }

  /** Removes uploads that nobody went on with, and what a crash left of others: here, and at the bucket. */
  async collect(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (isRecordName(name)) await this.#collectUpload(name)
      else await this.#collectStray(name)
    }
    await this.#collectDirect(await this.#counted())
    await this.#collectParts().catch(refuseIfFailed)
  }

  async #collectUpload(name: string): Promise<void> {
    const record = await readPartRecord(this.#folder, name)
    if (!record || this.#writers.get(record.key)?.isBusy) return
    const part = join(this.#folder, partName(record.key, record.sent.length))
    const touchedAtMs = Math.max(record.begunAtMs, (await stat(part).catch(unlessMissing))?.mtimeMs ?? 0)
    if (this.#isRecent(touchedAtMs)) return
    await this.#turns.alone(record.key, async () => (await this.#unfinished(record.key))?.abandon())
  }

  /** A part without an upload, or one that the bucket has already. */
  async #collectStray(name: string): Promise<void> {
    const path = join(this.#folder, name)
    const part = partOf(name)
    const record = part && (await readPartRecord(this.#folder, `${part.upload}.json`))
    if (record && part.index >= record.sent.length) return
    const found = await stat(path).catch(unlessMissing)
    const isInUse = record && this.#writers.has(record.key)
    if (!found || isInUse || (!record && this.#isRecent(found.mtimeMs))) return
    await rm(path, { force: true })
  }

  /** Parts at the bucket that no upload of ours is of. */
  async #collectParts(): Promise<void> {
    for (const { key, id, begunAtMs } of await this.#bucket.unfinished()) {
      if (this.#isRecent(begunAtMs)) continue
      const record = await readPartRecord(this.#folder, recordName(key))
      if (record?.partsId !== id) await this.#bucket.abortParts(key, id)
    }
  }

  async #collectDirect(quota: Quota): Promise<void> {
    for (const key of this.#direct.expectedKeys) {
      await this.#arrived(key)
      if (this.#direct.isLate(key)) await this.#turns.alone(key, () => this.#direct.forget(key, quota))
    }
    if (this.#options.sends?.puts)
      await this.#direct.collectStrays((atMs) => this.#isRecent(atMs)).catch(refuseIfFailed)
  }

  /** What a client may have put at the bucket itself is an object from now on. */
  async #arrived(key: string): Promise<void> {
    if (this.#direct.isExpected(key))
      await this.#turns.alone(key, () => this.#direct.adopt(key)).catch(refuseIfFailed)
  }

  #isRecent(atMs: number): boolean {
    return this.#options.clock.nowMs() - atMs < ABANDONED_AFTER_MS
  }

  /** How full the store is; asked of the bucket once, and only if there is a bound. */
  async #counted(): Promise<Quota> {
    if (this.#quota) return this.#quota
    const { maxBytes } = this.#options
    let usedBytes = 0
    if (maxBytes !== undefined) {
      for await (const { length } of refusing(this.#bucket.list(''))) usedBytes += length
      usedBytes += await this.#unfinishedBytes()
    }
    this.#quota ??= new Quota(maxBytes, usedBytes)
    return this.#quota
  }

  async #unfinishedBytes(): Promise<number> {
    let bytes = this.#direct.expectedBytes
    for (const name of await readdir(this.#folder)) {
      const record = isRecordName(name) ? await readPartRecord(this.#folder, name) : undefined
      const part =
        record &&
        (await stat(join(this.#folder, partName(record.key, record.sent.length))).catch(unlessMissing))
      if (record) bytes += sentBytes(record) + (part?.size ?? 0)
    }
    return bytes
  }

  async #find(key: string): Promise<Stored | undefined> {
    const found = await this.#bucket.find(key).catch(refuseIfFailed)
    if (!found) return undefined
    const { madeBy: _, ...stored } = found
    return stored
  }

  /** What a crash has left of a finished upload is removed on the way. */
  async #unfinished(key: string): Promise<BucketUpload | undefined> {
    await this.#writers.get(key)?.displace()
    this.#writers.delete(key)
    const record = await readPartRecord(this.#folder, recordName(key))
    if (!record) return undefined
    const found = await this.#bucket.find(key).catch(refuseIfFailed)
    const upload = await this.#writer(record)
    if (!found || (record.replaces && found.madeBy !== record.id)) return upload
    await upload.forget()
    return undefined
  }

  /** The part's file first: the record's entry on disk is its too. */
  async #enter(record: PartRecord): Promise<void> {
    const handle = await open(join(this.#folder, partName(record.key, 0)), 'w', FILE_MODE)
    await handle.close()
    await writePartRecord(this.#folder, record)
  }

  async #writer(record: PartRecord): Promise<BucketUpload> {
    const { key } = record
    const { clock, partBytes = DEFAULT_PART_BYTES } = this.#options
    const quota = await this.#counted()
    const upload: BucketUpload = await BucketUpload.open({
      ...{ bucket: this.#bucket, folder: this.#folder, record, partBytes, quota, clock },
      onEnded: () => {
        if (this.#writers.get(key) === upload) this.#writers.delete(key)
      },
    })
    this.#writers.set(key, upload)
    return upload
  }
}

function mustBeKey(key: string): void {
  if (!isObjectKey(key)) throw new FileRefusal('bad-key')
}

function mustBeFolder(folder: string): void {
  if (!isObjectFolder(folder)) throw new FileRefusal('bad-key')
}

function unlessUnavailable(error: unknown): void {
  if (!(error instanceof FileRefusal && error.kind === 'unavailable')) throw error
}

async function* refusing<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* source
  } catch (error) {
    refuseIfFailed(error)
  }
}
