// The objects behind backups, in the same store as attachments. They are read with a token of their own.
import {
  type BackupObjects,
  type CopyOutcome,
  type CopySource,
  copiedBytes,
  type Listed,
  type OuterLayer,
  type Usage,
} from '../kit/backup-objects.ts'
import type { Random } from '../kit/random.ts'
import { Refusal } from '../kit/refusal.ts'
import { FileRefusal, type FileStore, type OpenFile } from './file-store.ts'
import { withOuterLayer } from './outer-layer.ts'
import { storeWhole } from './whole-upload.ts'

/** One store keeps the attachments of both. */
const ATTACHMENT_CDNS = [2, 3]
const PAGE = 1000
const CURSOR = /^[\w-]{1,64}$/

export class StoredBackupObjects implements BackupObjects {
  readonly #store: FileStore
  readonly #random: Random
  /** The last copy to a path. */
  readonly #copying = new Map<string, Promise<unknown>>()

  constructor(store: FileStore, random: Random) {
    this.#store = store
    this.#random = random
  }

  /** Copies to one path one after the other: each knows by how much it makes the store grow. */
  async copy(source: CopySource, layer: OuterLayer, path: string): Promise<CopyOutcome> {
    const before = this.#copying.get(path) ?? Promise.resolve()
    const mine = before.then(() => this.#copy(source, layer, `backups/${path}`).catch(unavailableIfRefused))
    const settled = mine.catch(() => {})
    this.#copying.set(path, settled)
    await settled
    if (this.#copying.get(path) === settled) this.#copying.delete(path)
    return mine
  }

  async list(folder: string, cursor: string | undefined, limit: number): Promise<Listed> {
    if (cursor !== undefined && !CURSOR.test(cursor))
      throw new Refusal('bad-request', { field: 'cursor', message: 'is not one of ours' })
    const found = await this.#store
      .list(`backups/${folder}`, cursor ?? '', limit + 1)
      .catch(unavailableIfRefused)
    const page = found.slice(0, limit)
    return {
      objects: page.map(({ name, length }) => ({ name, bytes: length })),
      cursor: found.length > limit ? page.at(-1)!.name : undefined,
    }
  }

  async usage(folder: string): Promise<Usage> {
    const usage = { bytes: 0, objects: 0 }
    let cursor: string | undefined
    do {
      const page = await this.list(folder, cursor, PAGE)
      for (const { bytes } of page.objects) usage.bytes += bytes
      usage.objects += page.objects.length
      cursor = page.cursor
    } while (cursor !== undefined)
    return usage
  }

  delete(path: string): Promise<number> {
    return this.#store.delete(`backups/${path}`).catch(unavailableIfRefused)
  }

  deleteFolder(folder: string): Promise<void> {
    return this.#store.deleteFolder(`backups/${folder}`).catch(unavailableIfRefused)
  }

  async #copy({ cdn, key, bytes }: CopySource, layer: OuterLayer, to: string): Promise<CopyOutcome> {
    const file = ATTACHMENT_CDNS.includes(cdn) ? await this.#store.open(`attachments/${key}`) : undefined
    if (!file) return { kind: 'source-not-found' }
    try {
      if (file.length !== bytes) return { kind: 'wrong-length' }
      return { kind: 'copied', addedBytes: await this.#put(file, layer, to) }
    } finally {
      await file.close()
    }
  }

  /** Gives by how much the store grew. A name stands for a content: what is there is not copied again. */
  async #put(file: OpenFile, layer: OuterLayer, key: string): Promise<number> {
    const length = copiedBytes(file.length)
    const there = (await this.#store.stat(key))?.length ?? 0
    if (there === length) return 0
    const source = withOuterLayer(file.read(), layer, this.#random)
    await storeWhole(this.#store, { key, minBytes: length, maxBytes: length, source, replaces: true })
    return length - there
  }
}

/** No room, no bucket, or somebody else is putting something there. */
export function unavailableIfRefused(error: unknown): never {
  throw error instanceof FileRefusal ? new Refusal('unavailable') : error
}
