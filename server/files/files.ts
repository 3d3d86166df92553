// The file store: uploads in, each by its signed permission, and downloads out.
import type { BackupObjects } from '../kit/backup-objects.ts'
import type { Clock } from '../kit/clock.ts'
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
import { FileRefusal, type FileStore } from './file-store.ts'
import { PlainUploads } from './plain-uploads.ts'
import { PostedForms } from './posted-forms.ts'
import { ResumableUploads } from './resumable-uploads.ts'
import { StoredBackupObjects } from './stored-backup-objects.ts'
import { Tus } from './tus/tus.ts'

export type FilesOptions = {
  readonly folder: string
  /** Of all files together. */
  readonly maxBytes?: number | undefined
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
  close(): Promise<void>
}

const COLLECT_EVERY_MS = 3_600_000

export async function openFiles(options: FilesOptions): Promise<Files> {
  const { folder, maxBytes, clock, secrets, urls, events, onBug } = options
  const store = await DiskStore.open({ folder, clock, maxBytes })
  const signatures = new UploadSignatures(secrets.uploads, clock)
  const tus = new Tus({ store, signatures, clock, events, urls })
  const resumable = new ResumableUploads({ store, signatures, events, url: () => urls().cdn2 })
  const forms = new PostedForms({ store, keys: secrets.uploads, clock, events })
  const plain = new PlainUploads({ store, keys: secrets.uploads, clock, events })
  const parts: readonly FilePart[] = [
    (request) => tus.answer(request),
    downloads({ store, signatures, events }),
    (request) => resumable.answer(request),
    (request) => forms.answer(request),
    (request) => plain.answer(request),
  ]
  const housekeeping = new Housekeeping(clock, onBug)
  housekeeping.every(COLLECT_EVERY_MS, 'files.collect', () => store.collect())
  const failed = (error: unknown): StreamReply => {
    if (error instanceof ClientGone) return bare(400)
    if (error instanceof FileRefusal) {
      if (error.kind === 'full') events.full()
      return bare(statusOf(error))
    }
    onBug(error, 'files')
    return bare(500)
  }
  return {
    store,
    avatars: {
      delete: async (key) => void (await store.delete(key)),
      exists: async (key) => (await store.stat(key)) !== undefined,
    },
    backupObjects: new StoredBackupObjects(store, options.random),
    serve: (request) => firstOf(parts, takeApart(request))?.catch(failed),
    close: () => housekeeping.close(),
  }
}

function firstOf(parts: readonly FilePart[], request: FileRequest): Promise<StreamReply> | undefined {
  for (const part of parts) {
    const reply = part(request)
    if (reply) return reply
  }
  return undefined
}
