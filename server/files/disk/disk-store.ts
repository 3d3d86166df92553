// Files on the local disk. What was answered for is on disk, and survives the process and a power cut. One process only
// works on a folder.

import { createReadStream } from 'node:fs'
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import {
  type BeginOptions,
  FileRefusal,
  type FileStore,
  type Listed,
  type OpenFile,
  type Range,
  type Stored,
} from '../file-store.ts'
import { isObjectFolder, isObjectKey, objectPath } from '../object-key.ts'
import { DiskUpload } from './disk-upload.ts'
import { enterFile } from './entering.ts'
import {
  bytesBelow,
  FILE_MODE,
  makeFolder,
  namesIn,
  refuseIfFull,
  removeEmpty,
  unlessMissing,
} from './folders.ts'
import { Quota } from './quota.ts'
import { storedOf } from './stored.ts'
import {
  isRecordName,
  readRecord,
  recordName,
  type UploadRecord,
  uploadName,
  writeRecord,
} from './upload-record.ts'

export type DiskStoreOptions = {
  readonly folder: string
  readonly clock: Clock
  /** Of the whole store; as much as the disk has if not given. */
  readonly maxBytes?: number | undefined
  /** Called before anything is kept under a key. */
  readonly remember?: ((key: string) => Promise<void>) | undefined
}

/** An upload to which nothing was added for so long is given up. */
export const ABANDONED_AFTER_MS = DAY_MS
/** Where another process, such as nginx, writes what it then hands over. */
export const INCOMING = 'incoming'

export class DiskStore implements FileStore {
  readonly #clock: Clock
  readonly #remember: DiskStoreOptions['remember']
  readonly #objects: string
  readonly #uploads: string
  readonly #incoming: string
  readonly #quota: Quota
  /** Who may write to an upload: the last that asked. */
  readonly #writers = new Map<string, DiskUpload>()
  readonly #turns = new Map<string, Promise<unknown>>()

  private constructor({ folder, clock, remember }: DiskStoreOptions, quota: Quota) {
    this.#clock = clock
    this.#remember = remember
    this.#objects = join(folder, 'objects')
    this.#uploads = join(folder, 'uploads')
    this.#incoming = join(folder, INCOMING)
    this.#quota = quota
  }

  static async open(options: DiskStoreOptions): Promise<DiskStore> {
    const { folder, maxBytes } = options
    for (const part of ['objects', 'uploads', INCOMING]) await makeFolder(join(folder, part))
    const usedBytes = maxBytes === undefined ? 0 : await usedBytesIn(folder)
    const store = new DiskStore(options, new Quota(maxBytes, usedBytes))
    await store.collect()
    return store
  }

  /** As the quota counts them, unfinished uploads included; without a quota, since the start. */
  get usedBytes(): number {
    return this.#quota.usedBytes
  }

  async begin(key: string, maxBytes: number, options: BeginOptions = {}): Promise<DiskUpload> {
    const target = this.#target(key)
    const { length, replaces = false, sha256 } = options
    if ((length ?? 0) > maxBytes) throw new FileRefusal('too-long')
    return this.#alone(key, async () => {
      if (!replaces && (await stat(target).catch(unlessMissing))) throw new FileRefusal('exists')
      await (await this.#unfinished(key))?.abandon()
      this.#quota.mustFit(length ?? 1)
      const record: UploadRecord = {
        ...{ key, maxBytes, replaces, begunAtMs: this.#clock.nowMs() },
        ...(length !== undefined && { length }),
        ...(sha256 && { sha256: Buffer.from(sha256).toString('base64') }),
      }
      await Promise.all([this.#remember?.(key), this.#enter(record).catch(refuseIfFull)])
      return this.#writer(record, 0)
    })
  }

  async resume(key: string): Promise<DiskUpload | undefined> {
    this.#target(key)
    return this.#alone(key, () => this.#unfinished(key))
  }

  /** Makes an object of a file of `incoming`, which stays there: its writer removes it. Never overwrites. */
  async enter(key: string, name: string, maxBytes: number): Promise<Stored> {
    const [target, path] = [this.#target(key), join(this.#incoming, name)]
    await this.#remember?.(key)
    return enterFile({ key, path, target, maxBytes, quota: this.#quota, clock: this.#clock })
  }

  async stat(key: string): Promise<Stored | undefined> {
    const found = await stat(this.#target(key)).catch(unlessMissing)
    return found?.isFile() ? storedOf(key, found) : undefined
  }

  async open(key: string): Promise<OpenFile | undefined> {
    const handle = await open(this.#target(key)).catch(unlessMissing)
    if (!handle) return undefined
    const found = await handle.stat()
    if (found.isFile()) return openFile(handle, storedOf(key, found))
    await handle.close()
    return undefined
  }

  read(key: string, range?: Range): Readable {
    return createReadStream(this.#target(key), range && { start: range.first, end: range.last })
  }

  async delete(key: string): Promise<number> {
    const target = this.#target(key)
    const found = await stat(target).catch(unlessMissing)
    if (!found?.isFile()) return 0
    await rm(target)
    this.#quota.give(found.size)
    return found.size
  }

  /** Every attachment that is there. */
  async *attachments(): AsyncGenerator<{ readonly key: string; readonly storedAtMs: number }> {
    const root = join(this.#objects, 'attachments')
    for (const shard of (await namesIn(root)).folders)
      for (const name of (await namesIn(join(root, shard))).files) {
        const stored = await this.stat(`attachments/${name}`)
        if (stored) yield { key: `attachments/${name}`, storedAtMs: stored.storedAtMs }
      }
  }

  async list(folder: string, after: string, limit: number): Promise<readonly Listed[]> {
    const path = this.#folder(folder)
    const names = (await namesIn(path)).files.filter((name) => name > after).sort()
    const listed: Listed[] = []
    for (const name of names) {
      if (listed.length === limit) break
      // One may go meanwhile.
      const found = await stat(join(path, name)).catch(unlessMissing)
      if (found) listed.push({ name, length: found.size })
    }
    return listed
  }

  async deleteFolder(folder: string): Promise<void> {
    const path = this.#folder(folder)
    const { files, folders } = await namesIn(path)
    for (const name of folders) await this.deleteFolder(`${folder}/${name}`)
    for (const name of files) await this.delete(`${folder}/${name}`)
    await removeEmpty(path)
  }

  /** Removes uploads that nobody went on with, and what a crash left of others. */
  async collect(): Promise<void> {
    for (const name of await readdir(this.#uploads)) {
      if (isRecordName(name)) await this.#collectUpload(name)
      else await this.#collectStray(name)
    }
    for (const name of await readdir(this.#incoming)) await this.#collectIncoming(name)
  }

  /** What its writer left when it was killed. */
  async #collectIncoming(name: string): Promise<void> {
    const path = join(this.#incoming, name)
    const found = await stat(path).catch(unlessMissing)
    if (found && this.#clock.nowMs() - found.mtimeMs >= ABANDONED_AFTER_MS) await rm(path, { force: true })
  }

  async #collectUpload(name: string): Promise<void> {
    const record = await readRecord(this.#uploads, name)
    if (!record || this.#writers.get(record.key)?.isBusy) return
    const data = await stat(join(this.#uploads, uploadName(record.key))).catch(unlessMissing)
    const touchedAtMs = Math.max(record.begunAtMs, data?.mtimeMs ?? 0)
    if (data && this.#clock.nowMs() - touchedAtMs < ABANDONED_AFTER_MS) return
    await this.#alone(record.key, async () => (await this.#unfinished(record.key))?.abandon())
  }

  /** Bytes without a record, or a record that was never entered. */
  async #collectStray(name: string): Promise<void> {
    const path = join(this.#uploads, name)
    const found = await stat(path).catch(unlessMissing)
    const hasRecord = await stat(`${path}.json`).catch(unlessMissing)
    if (!found || hasRecord || this.#clock.nowMs() - found.mtimeMs < ABANDONED_AFTER_MS) return
    await rm(path, { force: true })
    this.#quota.give(found.size)
  }

  /** What a crash has left of a finished upload is removed on the way. */
  async #unfinished(key: string): Promise<DiskUpload | undefined> {
    await this.#writers.get(key)?.displace()
    this.#writers.delete(key)
    const record = await readRecord(this.#uploads, recordName(key))
    if (!record) return undefined
    const data = await stat(join(this.#uploads, uploadName(key))).catch(unlessMissing)
    const upload = this.#writer(record, data?.size ?? 0)
    const isFinished = !record.replaces && (await this.stat(key)) !== undefined
    if (data && !isFinished) return upload
    await upload.abandon()
    return undefined
  }

  /** The bytes' file first: the record's entry on disk is theirs too. */
  async #enter(record: UploadRecord): Promise<void> {
    const handle = await open(join(this.#uploads, uploadName(record.key)), 'w', FILE_MODE)
    await handle.close()
    await writeRecord(this.#uploads, record)
  }

  #writer(record: UploadRecord, offset: number): DiskUpload {
    const { key } = record
    const upload: DiskUpload = new DiskUpload({
      ...{ record, offset, folder: this.#uploads, target: this.#target(key) },
      ...{ quota: this.#quota, clock: this.#clock },
      onEnded: () => {
        if (this.#writers.get(key) === upload) this.#writers.delete(key)
      },
    })
    this.#writers.set(key, upload)
    return upload
  }

  #target(key: string): string {
    if (!isObjectKey(key)) throw new FileRefusal('bad-key')
    return join(this.#objects, objectPath(key))
  }

  #folder(folder: string): string {
    if (!isObjectFolder(folder)) throw new FileRefusal('bad-key')
    return join(this.#objects, objectPath(folder))
  }

  /** Beginnings and resumptions of one key, one after the other. */
  async #alone<T>(key: string, action: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve()
    const mine = before.then(action)
    const settled = mine.catch(() => {})
    this.#turns.set(key, settled)
    await settled
    if (this.#turns.get(key) === settled) this.#turns.delete(key)
    return mine
  }
}

/** Records of uploads are not counted: neither when they come, nor when they go. */
const usedBytesIn = async (folder: string): Promise<number> =>
  (await bytesBelow(join(folder, 'objects'))) +
  (await bytesBelow(join(folder, 'uploads'), (name) => !isRecordName(name)))

const openFile = (handle: FileHandle, stored: Stored): OpenFile => ({
  ...stored,
  read: (range) =>
    handle.createReadStream({ start: range?.first ?? 0, end: range?.last ?? stored.length - 1 }),
  close: () => handle.close(),
})
