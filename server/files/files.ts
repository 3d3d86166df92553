// The file store: uploads in, each by its signed permission, and downloads out.
import { join } from 'node:path'
import type { BackupObjects } from '../kit/backup-objects.ts'
import type { Clock } from '../kit/clock.ts'
import type { Config } from '../kit/config.ts'
import type { FileUrls } from '../kit/file-urls.ts'
import { Housekeeping } from '../kit/housekeeping.ts'
import type { Random } from '../kit/random.ts'
import type { Secrets } from '../kit/secrets.ts'
import { ClientGone, type StreamHandler, type StreamReply } from '../kit/streaming.ts'
import { UploadSignatures } from '../kit/upload-signatures.ts'
import { DiskStore } from './disk/disk-store.ts'
import { downloads } from './downloads.ts'
import type { FileEvents } from './events.ts'
import { bare, type FilePart, type FileRequest, statusOf, takeApart } from './exchange.ts'
import { Expiry } from './expiry.ts'
import { FileRefusal, type FileStore } from './file-store.ts'
import { HandedOver } from './handed-over.ts'
import { PlainUploads } from './plain-uploads.ts'
import { PostedForms } from './posted-forms.ts'
import { ResumableUploads } from './resumable-uploads.ts'
import { StoredBackupObjects, unavailableIfRefused } from './stored-backup-objects.ts'
import { Tus } from './tus/tus.ts'

export type FilesOptions = {
  /** The disk unless told. */
  readonly store?: Config['files']['store']
  /** The bucket, if the store is one. */
  readonly s3?: Config['files']['s3']
  /** Of the files, or of those that are not yet in the bucket. */
  readonly folder: string
  /** Of all files together. */
  readonly maxBytes?: number | undefined
  /** For how long attachments are kept; 45 unless told. */
  readonly attachmentDays?: number | undefined
  readonly clock: Clock
  readonly random: Random
  readonly secrets: Secrets
  readonly urls: () => FileUrls
  readonly events: FileEvents
  readonly onBug: (error: unknown, where: string) => void
}

export type Files = {
  readonly store: FileStore
  /** What profiles name, or do not name any more. */
  readonly avatars: { delete(key: string): Promise<void>; exists(key: string): Promise<boolean> }
  readonly backupObjects: BackupObjects
  readonly serve: StreamHandler
  /** For the socket that nginx alone can reach: names files that it took. There if the store is the disk. */
  readonly takeOver: StreamHandler | undefined
  close(): Promise<void>
}

const COLLECT_EVERY_MS = 3_600_000
const EXPIRE_EVERY_MS = 3_600_000
const ATTACHMENT_DAYS = 45

export async function openFiles(options: FilesOptions): Promise<Files> {
  const { clock, secrets, urls, events, onBug } = options
  const { store, expiry } = await openStore(options)
  const signatures = new UploadSignatures(secrets.uploads, clock)
  const tus = new Tus({ store, signatures, clock, events, urls })
  const resumable = new ResumableUploads({ store, signatures, events, url: () => urls().cdn2 })
  const forms = new PostedForms({ store, keys: secrets.uploads, clock, events })
  const plain = new PlainUploads({ store, keys: secrets.uploads, clock, events })
  const handedOver =
    store instanceof DiskStore ? new HandedOver({ store, keys: secrets.uploads, clock, events }) : undefined
  const parts: readonly FilePart[] = [
    (request) => tus.answer(request),
    downloads({ store, signatures, events }),
    (request) => resumable.answer(request),
    (request) => forms.answer(request),
    (request) => plain.answer(request),
  ]
  const housekeeping = new Housekeeping(clock, onBug)
  housekeeping.every(COLLECT_EVERY_MS, 'files.collect', () => store.collect().catch(unlessUnavailable))
  housekeeping.every(EXPIRE_EVERY_MS, 'files.expire', (closing) =>
    expiry.sweep(closing).catch(unlessUnavailable),
  )
  const failed = (error: unknown): StreamReply => {
    if (error instanceof ClientGone) return bare(400)
    if (error instanceof FileRefusal) {
      if (error.kind === 'full') events.full()
      if (error.kind === 'unavailable') events.unavailable()
      return bare(statusOf(error))
    }
    onBug(error, 'files')
    return bare(500)
  }
  return {
    store,
    avatars: {
      delete: async (key) => void (await store.delete(key).catch(unavailableIfRefused)),
      exists: async (key) => (await store.stat(key).catch(unavailableIfRefused)) !== undefined,
    },
    backupObjects: new StoredBackupObjects(store, options.random),
    serve: (request) => firstOf(parts, takeApart(request))?.catch(failed),
    takeOver: handedOver && ((request) => handedOver.answer(takeApart(request)).catch(failed)),
    async close() {
      await housekeeping.close()
      store.close?.()
    },
  }
}

type KeptStore = FileStore & { collect(): Promise<void>; close?(): void }
type Remember = { remember(key: string): Promise<void> }

async function openStore(options: FilesOptions): Promise<{ store: KeptStore; expiry: Expiry }> {
  const { folder, clock, attachmentDays: days = ATTACHMENT_DAYS } = options
  // Nothing is uploaded before both are there.
  const expiries: Expiry[] = []
  const remember = async (key: string) => expiries[0]?.remember(key)
  const store = await openBareStore(options, { remember })
  const existing = store instanceof DiskStore ? store.attachments() : undefined
  const expiry = await Expiry.open({ folder: join(folder, 'expiry'), store, clock, days, existing })
  expiries.push(expiry)
  return { store, expiry }
}

async function openBareStore(options: FilesOptions, remembering: Remember): Promise<KeptStore> {
  if (options.store !== 's3') return DiskStore.open({ ...options, ...remembering })
  const { openBucketStore } = await import('./bucket/open-bucket-store.ts')
  return openBucketStore(options.s3!, { ...options, ...remembering })
}

function firstOf(parts: readonly FilePart[], request: FileRequest): Promise<StreamReply> | undefined {
  for (const part of parts) {
    const reply = part(request)
    if (reply) return reply
  }
  return undefined
}

/** The next round will do what this one could not. */
function unlessUnavailable(error: unknown): void {
  if (!(error instanceof FileRefusal)) throw error
}
