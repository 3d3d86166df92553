// An upload on disk: its bytes in one file, what is known of it in another beside it.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, open, rename, rm, stat, truncate } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../kit/clock.ts'
import { sameSecret } from '../../kit/constant-time.ts'
import { FileRefusal, type Stored, type Upload } from '../file-store.ts'
import { Appending } from './appending.ts'
import { codeOf, makeFolder, refuseIfFull, syncFolder, unlessMissing } from './folders.ts'
import type { Quota } from './quota.ts'
import { storedOf } from './stored.ts'
import { recordName, type UploadRecord, uploadName, writeRecord } from './upload-record.ts'

export type DiskUploadOptions = {
  /** Of unfinished uploads. */
  readonly folder: string
  /** Where the object will lie. */
  readonly target: string
  readonly record: UploadRecord
  readonly offset: number
  readonly quota: Quota
  readonly clock: Clock
  /** Called when nothing is left to resume. */
  readonly onEnded: () => void
}

export class DiskUpload implements Upload {
  readonly #options: DiskUploadOptions
  readonly #path: string
  #record: UploadRecord
  #offset: number
  #appending: Appending | undefined
  #settled: Promise<unknown> = Promise.resolve()
  #displaced = false

  constructor(options: DiskUploadOptions) {
    this.#options = options
    this.#path = join(options.folder, uploadName(options.record.key))
    this.#record = options.record
    this.#offset = options.offset
  }

  get offset(): number {
    return this.#offset
  }
  get length(): number | undefined {
    return this.#record.length
  }
  get maxBytes(): number {
    return this.#record.maxBytes
  }

  declare(length: number): Promise<void> {
    return this.#turn(async () => {
      if (this.length === length) return
      if (this.length !== undefined) throw new FileRefusal('other-length')
      if (length > this.maxBytes || length < this.#offset) throw new FileRefusal('too-long')
      this.#options.quota.mustFit(length - this.#offset)
      const record = { ...this.#record, length }
      await writeRecord(this.#options.folder, record).catch(refuseIfFull)
      this.#record = record
    })
  }

  append(source: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#turn(() => this.#append(source).catch(refuseIfFull))
  }

  async #append(source: AsyncIterable<Uint8Array>): Promise<number> {
    const { quota, clock } = this.#options
    const handle = await open(this.#path, 'r+')
    const maxOffset = this.length ?? this.maxBytes
    const write = async (bytes: Uint8Array, at: number) =>
      (await handle.write(bytes, 0, bytes.length, at)).bytesWritten
    const appending = new Appending({ write, offset: this.#offset, maxOffset, quota })
    this.#appending = appending
    try {
      await appending.run(source)
    } finally {
      this.#appending = undefined
      this.#offset = appending.offset
      const nowS = clock.nowMs() / 1000
      await handle
        .utimes(nowS, nowS)
        .then(() => handle.sync())
        .finally(() => handle.close())
    }
    return this.#offset
  }

  truncate(offset: number): Promise<void> {
    return this.#turn(async () => {
      await truncate(this.#path, offset)
      this.#options.quota.give(this.#offset - offset)
      this.#offset = offset
    })
  }

  finish(): Promise<Stored> {
    return this.#turn(async () => {
      if (this.#offset === 0 || this.#offset !== (this.length ?? this.#offset))
        throw new FileRefusal('incomplete')
      if (!(await this.#hasItsDigest())) {
        await this.#remove()
        throw new FileRefusal('wrong-digest')
      }
      const { target } = this.#options
      await makeFolder(dirname(target)).catch(refuseIfFull)
      await (this.#record.replaces ? this.#replace(target) : this.#put(target))
      await syncFolder(dirname(target))
      await this.#forget()
      return storedOf(this.#record.key, await stat(target))
    })
  }

  abandon(): Promise<void> {
    return this.#turn(() => this.#remove())
  }

  get isBusy(): boolean {
    return this.#appending !== undefined
  }

  /** Stops who is appending; resolves when what came from them is on disk. This upload is of no use afterwards. */
  async displace(): Promise<void> {
    this.#displaced = true
    this.#appending?.stop()
    await this.#settled
  }

  /** One after the other; a turn that fails does not harm the next. */
  #turn<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#settled.then(() => {
      if (this.#displaced) throw new FileRefusal('displaced')
      return action()
    })
    this.#settled = mine.catch(() => {})
    return mine
  }

  /** A link is refused where a name is taken; a renaming would not be. */
  async #put(target: string): Promise<void> {
    try {
      await link(this.#path, target)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') return refuseIfFull(error)
      await this.#remove()
      throw new FileRefusal('exists')
    }
    await rm(this.#path)
  }

  async #replace(target: string): Promise<void> {
    const before = await stat(target).catch(unlessMissing)
    await rename(this.#path, target).catch(refuseIfFull)
    this.#options.quota.give(before?.size ?? 0)
  }

  async #hasItsDigest(): Promise<boolean> {
    if (this.#record.sha256 === undefined) return true
    const hash = createHash('sha256')
    await pipeline(createReadStream(this.#path), hash)
    const [is, wanted] = [hash.digest(), Buffer.from(this.#record.sha256, 'base64')]
    return sameSecret(is, wanted)
  }

  async #remove(): Promise<void> {
    await rm(this.#path, { force: true })
    this.#options.quota.give(this.#offset)
    this.#offset = 0
    await this.#forget()
  }

  async #forget(): Promise<void> {
    this.#displaced = true
    await rm(join(this.#options.folder, recordName(this.#record.key)), { force: true })
    this.#options.onEnded()
  }
}
