// Media in a backup: copied from attachments, listed, deleted, and counted (signal-api §2.20).

import {
  BACKUP_CDN,
  type BackupObjects,
  type CopyOutcome,
  type CopySource,
  copiedBytes,
  type OuterLayer,
} from '../../kit/backup-objects.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import { Refusal } from '../../kit/refusal.ts'
import { type BackupUser, mustKeepMedia } from './backup-user.ts'
import { inOrder } from './in-order.ts'
import { type BackupStore, mediaFolderOf, type StoredBackup } from './store.ts'

export const MEDIA_ID_BYTES = 15
export const LAYER_KEY_BYTES = 32
export const MAX_ITEMS = 1000
export const MAX_PAGE = 10_000
const DEFAULT_PAGE = 1000
const AT_ONCE = 10
/** A count is made anew at most so often. */
const RECOUNT_AFTER_MS = DAY_MS
const SOURCE_KEY = /^[\w-]{1,64}$/

export type Copy = { readonly source: CopySource; readonly layer: OuterLayer; readonly mediaId: Uint8Array }
export type Copied = {
  readonly mediaId: Uint8Array
  readonly kind: CopyOutcome['kind'] | 'out-of-space'
}
export type MediaName = { readonly cdn: number; readonly mediaId: Uint8Array }
export type StoredMedia = MediaName & { readonly bytes: number }
export type MediaPage = {
  readonly media: readonly StoredMedia[]
  readonly backupDir: string
  readonly mediaDir: string
  readonly cursor: string | undefined
}

export type BackupMediaOptions = {
  readonly store: BackupStore
  readonly objects: BackupObjects
  readonly clock: Clock
  /** The largest attachment. */
  readonly maxSourceBytes: number
  /** All media of one backup. */
  readonly maxMediaBytes: number
}

export class BackupMedia {
  readonly #options: BackupMediaOptions

  constructor(options: BackupMediaOptions) {
    this.#options = options
  }

  /**
   * Copies attachments, and says of each what came of it, in their order. As many as there is space for are counted
   * before they are copied: a crash leaves too much counted, never too little.
   */
  async *copy(user: BackupUser, copies: readonly Copy[]): AsyncGenerator<Copied, void, undefined> {
    mustKeepMedia(user)
    mustBeItems(copies.length)
    for (const copy of copies) this.#check(copy)
    const fitting = await this.#reserve(user.backup, copies)
    const unused = { bytes: total(fitting), objects: fitting.length }
    const note = (outcome: CopyOutcome) => {
      if (outcome.kind !== 'copied' || outcome.addedBytes === 0) return
      unused.bytes -= outcome.addedBytes
      unused.objects--
    }
    try {
      yield* inOrder(fitting, AT_ONCE, (copy) => this.#copy(user.backup, copy, note))
      for (const { mediaId } of copies.slice(fitting.length)) yield { mediaId, kind: 'out-of-space' }
    } finally {
      if (unused.objects > 0) await this.#options.store.release(user.backup, unused)
    }
  }

  /** One page of what is stored. */
  async list(user: BackupUser, cursor: string | undefined, limit = DEFAULT_PAGE): Promise<MediaPage> {
    if (limit < 1 || limit > MAX_PAGE)
      throw new Refusal('bad-request', { field: 'limit', message: 'must be 1 to 10000' })
    const { backupDir, mediaDir } = user.backup
    const listed = await this.#options.objects.list(mediaFolderOf(user.backup), cursor, limit)
    const media = listed.objects.map(({ name, bytes }) => ({
      cdn: BACKUP_CDN,
      mediaId: new Uint8Array(Buffer.from(name, 'base64url')),
      bytes,
    }))
    return { media, backupDir, mediaDir, cursor: listed.cursor }
  }

  /** Deletes, and names each when it is gone; what was not there is gone too. */
  async *delete(user: BackupUser, names: readonly MediaName[]): AsyncGenerator<MediaName, void, undefined> {
    mustBeItems(names.length)
    for (const name of names) mustBeOurs(name)
    const { store, objects } = this.#options
    const freed = { bytes: 0, objects: 0 }
    const remove = async (name: MediaName) => {
      const bytes = await objects.delete(pathOf(user.backup, name.mediaId))
      freed.bytes += bytes
      freed.objects += bytes > 0 ? 1 : 0
      return name
    }
    try {
      yield* inOrder(names, AT_ONCE, remove)
    } finally {
      if (freed.objects > 0) await store.release(user.backup, freed)
    }
  }

  async #copy(
    backup: StoredBackup,
    { source, layer, mediaId }: Copy,
    note: (outcome: CopyOutcome) => void,
  ): Promise<Copied> {
    const outcome = await this.#options.objects.copy(source, layer, pathOf(backup, mediaId))
    note(outcome)
    return { mediaId, kind: outcome.kind }
  }

  /** Counts the first of the copies for which there is space, and gives them. */
  async #reserve(backup: StoredBackup, copies: readonly Copy[]): Promise<readonly Copy[]> {
    const { store, maxMediaBytes } = this.#options
    let now: StoredBackup | undefined = backup
    while (now?.mediaDir === backup.mediaDir) {
      const fitting = await this.#fitting(now, copies)
      const wanted = { bytes: total(fitting), objects: fitting.length }
      if (fitting.length === 0 || (await store.reserve(now, wanted, maxMediaBytes))) return fitting
      // Somebody else counted meanwhile.
      now = await store.find(backup.idHash)
    }
    return []
  }

  async #fitting(backup: StoredBackup, copies: readonly Copy[]): Promise<readonly Copy[]> {
    const { store, objects, clock, maxMediaBytes } = this.#options
    const fits = (usedBytes: number) => fittingIn(copies, maxMediaBytes - usedBytes)
    const fitting = fits(backup.usage.bytes)
    const isRecent = backup.usageCountedAtMs > clock.nowMs() - RECOUNT_AFTER_MS
    if (fitting.length === copies.length || isRecent) return fitting
    const usage = await objects.usage(mediaFolderOf(backup))
    await store.setUsage(backup, usage, clock.nowMs())
    return fits(usage.bytes)
  }

  #check({ source, layer, mediaId }: Copy): void {
    if (source.bytes > this.#options.maxSourceBytes)
      throw new Refusal('bad-request', { field: 'object_length', message: 'too large' })
    const isWhole =
      source.cdn >= 1 &&
      source.cdn <= 3 &&
      SOURCE_KEY.test(source.key) &&
      mediaId.length === MEDIA_ID_BYTES &&
      layer.encryptionKey.length === LAYER_KEY_BYTES &&
      layer.hmacKey.length === LAYER_KEY_BYTES
    if (!isWhole) throw new Refusal('invalid', { field: 'items', message: 'must be media to copy' })
  }
}

const pathOf = (backup: StoredBackup, mediaId: Uint8Array): string =>
  `${mediaFolderOf(backup)}/${Buffer.from(mediaId).toString('base64url')}`

const total = (copies: readonly Copy[]): number =>
  copies.reduce((sum, { source }) => sum + copiedBytes(source.bytes), 0)

/** The longest beginning of the list that takes no more than `bytes`. */
function fittingIn(copies: readonly Copy[], bytes: number): readonly Copy[] {
  let left = bytes
  const first = copies.findIndex(({ source }) => {
    left -= copiedBytes(source.bytes)
    return left < 0
  })
  return first < 0 ? copies : copies.slice(0, first)
}

function mustBeItems(count: number): void {
  if (count < 1 || count > MAX_ITEMS)
    throw new Refusal('invalid', { field: 'items', message: 'must be 1 to 1000' })
}

function mustBeOurs({ cdn, mediaId }: MediaName): void {
  if (mediaId.length !== MEDIA_ID_BYTES)
    throw new Refusal('invalid', { field: 'media_id', message: 'must be 15 bytes' })
  if (cdn !== BACKUP_CDN) throw new Refusal('bad-request', { field: 'cdn', message: 'keeps no media' })
}
