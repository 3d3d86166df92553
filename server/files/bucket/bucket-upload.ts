// An upload on its way to the bucket. Its unfinished part lies on the local disk, fsynced; a part that is full goes to
// the bucket, and is forgotten here when the bucket has it and the record says so.
import { timingSafeEqual } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../kit/clock.ts'
import { Appending } from '../disk/appending.ts'
import { FILE_MODE, refuseIfFull, unlessMissing } from '../disk/folders.ts'
import type { Quota } from '../disk/quota.ts'
import { recordName } from '../disk/upload-record.ts'
import { FileRefusal, type Stored, type Upload } from '../file-store.ts'
import type { Bucket, Found } from './bucket.ts'
import { CheckpointedDigest } from './checkpointed-digest.ts'
import { fileBody, piecesOf } from './file-body.ts'
import { type PartRecord, partName, sentBytes, writePartRecord } from './part-record.ts'
import { refuseIfFailed, S3Failure } from './s3-failure.ts'

export type BucketUploadOptions = {
  readonly bucket: Bucket
  /** Of unfinished uploads, on the local disk. */
  readonly folder: string
  readonly record: PartRecord
  readonly partBytes: number
  readonly quota: Quota
  readonly clock: Clock
  /** Called when nothing is left to resume. */
  readonly onEnded: () => void
}

/** S3 takes 10,000, Swift 1,000. */
const MAX_PARTS = 1000

export class BucketUpload implements Upload {
  readonly #options: BucketUploadOptions
  #record: PartRecord
  /** Bytes in the unfinished part. */
  #at: number
  /** Of everything up to the offset; opened anew from the last state that was saved. */
  #digest: CheckpointedDigest | undefined
  /** The unfinished part, while somebody appends. */
  #handle: FileHandle | undefined
  /** A part that is at the bucket, but in which the last append began: it may be taken back to there. */
  #kept: number | undefined
  #appending: Appending | undefined
  readonly #sending = new AbortController()
  #settled: Promise<unknown> = Promise.resolve()
  #displaced = false

  private constructor(options: BucketUploadOptions, at: number) {
    this.#options = options
    this.#record = options.record
    this.#at = at
  }

  /** What is on disk of it counts. */
  static async open(options: BucketUploadOptions): Promise<BucketUpload> {
    const { folder, record } = options
    const found = await stat(join(folder, partName(record.key, record.sent.length))).catch(unlessMissing)
    return new BucketUpload(options, found?.size ?? 0)
  }

  get offset(): number {
    return sentBytes(this.#record) + this.#at
  }
  get length(): number | undefined {
    return this.#record.length
  }
  get maxBytes(): number {
    return this.#record.maxBytes
  }
  get isBusy(): boolean {
    return this.#appending !== undefined
  }

  declare(length: number): Promise<void> {
    return this.#turn(async () => {
      if (this.length === length) return
      if (this.length !== undefined) throw new FileRefusal('other-length')
      if (length > this.maxBytes || length < this.offset) throw new FileRefusal('too-long')
      this.#options.quota.mustFit(length - this.offset)
      await this.#note({ ...this.#record, length })
    })
  }

  append(source: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#turn(() => this.#append(source).catch(refuseIfFull))
  }

  /** Back to where the last append began, or to any place in the unfinished part. */
  truncate(offset: number): Promise<void> {
    return this.#turn(async () => {
      const before = this.offset
      const sent = [...this.#record.sent]
      const unfinished = sent.length
      let from = sentBytes(this.#record)
      while (from > offset) from -= sent.pop()!.bytes
      if (sent.length < unfinished && offset > from && sent.length !== this.#kept)
        throw new Error('what lies before that is not here any more')
      await this.#note({ ...this.#record, sent })
      this.#at = offset - from
      this.#digest = undefined
      const handle = await open(this.#path(), 'a', FILE_MODE)
      await handle.close()
      await truncate(this.#path(), this.#at)
      for (let index = sent.length + 1; index <= unfinished; index++)
        await rm(this.#path(index), { force: true })
      this.#options.quota.give(before - offset)
    })
  }

  finish(): Promise<Stored> {
    return this.#turn(async () => {
      if (this.offset === 0 || this.offset !== (this.length ?? this.offset))
        throw new FileRefusal('incomplete')
      if (!(await this.#hasItsDigest())) {
        await this.#remove()
        throw new FileRefusal('wrong-digest')
      }
      const { madeBy: _, ...stored } = await this.#put()
      await this.#forget()
      return stored
    })
  }

  abandon(): Promise<void> {
    return this.#turn(() => this.#remove())
  }

  /** Of one whose object is there: gives up the bucket's parts, if it still has some, and all that is here. */
  forget(): Promise<void> {
    return this.#turn(() => this.#remove({ isFinished: true }))
  }

  /** Stops who is appending; resolves when what came from them is on disk. This upload is of no use afterwards. */
  async displace(): Promise<void> {
    this.#displaced = true
    this.#sending.abort()
    this.#appending?.stop()
    await this.#settled
    await this.#dropKept()
  }

  /** One after the other; a turn that fails does not harm the next. */
  #turn<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#settled
      .then(() => {
        if (this.#displaced) throw new FileRefusal('displaced')
        return action()
      })
      .catch(refuseIfFailed)
    this.#settled = mine.catch(() => {})
    return mine
  }

  async #append(source: AsyncIterable<Uint8Array>): Promise<number> {
    const { quota, clock } = this.#options
    await this.#dropKept()
    if (this.#at > 0) this.#kept = this.#record.sent.length
    if (this.#record.sha256 !== undefined) this.#digest ??= await this.#digestSoFar()
    this.#handle = await this.#openPart()
    const maxOffset = this.length ?? this.maxBytes
    const write = (bytes: Uint8Array) => this.#write(bytes)
    const appending = new Appending({ write, offset: this.offset, maxOffset, quota })
    this.#appending = appending
    try {
      await appending.run(source)
    } finally {
      this.#appending = undefined
      const handle = this.#handle
      this.#handle = undefined
      const nowS = clock.nowMs() / 1000
      await handle
        .utimes(nowS, nowS)
        .then(() => handle.sync())
        .finally(() => handle.close())
    }
    return this.offset
  }

  /** A crash may have come before its entry was on disk. */
  async #openPart(): Promise<FileHandle> {
    return (await open(this.#path(), 'r+').catch(unlessMissing)) ?? open(this.#path(), 'w', FILE_MODE)
  }

  async #write(bytes: Uint8Array): Promise<number> {
    const { partBytes } = this.#options
    if (this.#at >= partBytes && !this.#displaced) await this.#send().catch(unlessDisplaced)
    // Who is displaced does not wait for the bucket: this part becomes longer than others.
    const taken = this.#displaced ? bytes : bytes.subarray(0, partBytes - this.#at)
    const { bytesWritten } = await this.#handle!.write(taken, 0, taken.length, this.#at)
    this.#digest?.update(taken.subarray(0, bytesWritten))
    this.#at += bytesWritten
    return bytesWritten
  }

  /** The unfinished part becomes one of the bucket's, and the next one begins. */
  async #send(): Promise<void> {
    const { bucket } = this.#options
    const { key, sent } = this.#record
    const index = sent.length
    if (index + 1 >= MAX_PARTS) throw new FileRefusal('too-long')
    const partsId = this.#record.partsId ?? (await this.#beginParts())
    const { signal } = this.#sending
    const etag = await bucket.putPart(key, partsId, index + 1, { ...(await fileBody(this.#path())), signal })
    const next = await open(this.#path(index + 1), 'w', FILE_MODE)
    const part = { bytes: this.#at, etag, ...(this.#digest && { digest: this.#digest.save() }) }
    try {
      await this.#note({ ...this.#record, sent: [...sent, part] })
    } catch (error) {
      await next.close()
      throw error
    }
    await this.#handle?.close()
    if (this.#handle) this.#handle = next
    else await next.close()
    this.#at = 0
    if (index !== this.#kept) await rm(this.#path(index), { force: true })
  }

  async #beginParts(): Promise<string> {
    const partsId = await this.#options.bucket.beginParts(this.#putting())
    await this.#note({ ...this.#record, partsId })
    return partsId
  }

  /** The object, made now or by an attempt of whose end we were not told. */
  async #put(): Promise<Found> {
    const { bucket, quota } = this.#options
    const { key, id, replaces } = this.#record
    const before = await bucket.find(key)
    if (before?.madeBy === id) return before
    if (before && !replaces) return this.#refuse('exists')
    const failure = await this.#putAll().catch((error: unknown) => error)
    const after = await bucket.find(key)
    if (after?.madeBy !== id) return this.#refuseAfter(failure)
    quota.give(before?.length ?? 0)
    return after
  }

  async #putAll(): Promise<void> {
    const { bucket } = this.#options
    if (this.#record.partsId === undefined) {
      const { body, sha256 } = await fileBody(this.#path())
      return bucket.put(this.#putting(), body, sha256)
    }
    if (this.#at > 0) await this.#send()
    const { partsId, sent } = this.#record
    const etags = sent.map(({ etag }) => etag)
    return bucket.completeParts(this.#putting(), partsId!, etags)
  }

  async #refuseAfter(failure: unknown): Promise<never> {
    const status = failure instanceof S3Failure ? failure.status : undefined
    if (status === 412) return this.#refuse('exists')
    // The bucket has given the parts up: they are lost, and the upload has to begin anew.
    if (status === 404) return this.#refuse('incomplete')
    throw failure ?? new FileRefusal('unavailable')
  }

  async #refuse(kind: 'exists' | 'incomplete'): Promise<never> {
    await this.#remove()
    throw new FileRefusal(kind)
  }

  #putting() {
    const { key, id, replaces } = this.#record
    return { key, madeBy: id, onlyNew: !replaces }
  }

  async #hasItsDigest(): Promise<boolean> {
    const { sha256 } = this.#record
    if (sha256 === undefined) return true
    const is = (await this.#digestSoFar()).end()
    const wanted = Buffer.from(sha256, 'base64')
    return is.length === wanted.length && timingSafeEqual(is, wanted)
  }

  /** From the state after the last part that was sent, and what is on disk. */
  async #digestSoFar(): Promise<CheckpointedDigest> {
    const digest = await CheckpointedDigest.open(this.#record.sent.at(-1)?.digest)
    if (this.#at === 0) return digest
    for await (const piece of piecesOf(this.#path())) digest.update(piece)
    return digest
  }

  async #note(record: PartRecord): Promise<void> {
    await writePartRecord(this.#options.folder, record).catch(refuseIfFull)
    this.#record = record
  }

  #path(index = this.#record.sent.length): string {
    return join(this.#options.folder, partName(this.#record.key, index))
  }

  async #dropKept(): Promise<void> {
    if (this.#kept !== undefined && this.#kept !== this.#record.sent.length)
      await rm(this.#path(this.#kept), { force: true })
    this.#kept = undefined
  }

  /** What the bucket does not give up now, the collector asks it to give up later. */
  async #remove({ isFinished = false } = {}): Promise<void> {
    const { bucket, quota } = this.#options
    const { key, partsId } = this.#record
    if (!isFinished) quota.give(this.offset)
    await this.#forget()
    if (partsId !== undefined)
      await bucket
        .abortParts(key, partsId)
        .catch(refuseIfFailed)
        .catch(() => {})
  }

  /** The record last: it says what is left. */
  async #forget(): Promise<void> {
    this.#displaced = true
    await this.#dropKept()
    await rm(this.#path(), { force: true })
    await rm(join(this.#options.folder, recordName(this.#record.key)), { force: true })
    this.#options.onEnded()
  }
}

function unlessDisplaced(error: unknown): void {
  if (!(error instanceof FileRefusal && error.kind === 'displaced')) throw error
}
