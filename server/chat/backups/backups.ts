// Backups as who holds their credentials uses them, unnamed (signal-api §2.20).

import { PublicKey } from '@signalapp/libsignal-client'
import { BackupCredentialType, BackupLevel } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { BACKUP_CDN } from '../../kit/backup-objects.ts'
import type { Clock } from '../../kit/clock.ts'
import { startOfDay } from '../../kit/days.ts'
import type { ExternalCredentials, ExternalServiceCredentials } from '../../kit/external-credentials.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { UploadForm, UploadForms } from '../attachments/upload-forms.ts'
import {
  type BackupUser,
  type BackupUsers,
  mustBe,
  mustKeepMedia,
  type SignedPresentation,
} from './backup-user.ts'
import type { BackupStore, Folders } from './store.ts'

export const MESSAGE_BACKUP = 'messageBackup'
const FOLDER_NAME_BYTES = 16

export type BackupInfo = Folders & {
  readonly cdn: number
  readonly backupName: string
  readonly usedBytes: number
}
export type Formed = { readonly kind: 'formed'; readonly form: UploadForm } | { readonly kind: 'too-large' }

export type BackupsOptions = {
  readonly store: BackupStore
  readonly users: BackupUsers
  readonly forms: UploadForms
  readonly limits: Limits
  readonly svrb: ExternalServiceCredentials
  readonly clock: Clock
  readonly random: Random
  readonly maxMessagesBytes: number
  /** The largest attachment: media are uploaded as one, and copied. */
  readonly maxAttachmentBytes: number
}

export class Backups {
  readonly #options: BackupsOptions

  constructor(options: BackupsOptions) {
    this.#options = options
  }

  authenticate(signed: SignedPresentation): Promise<BackupUser | undefined> {
    return this.#options.users.authenticate(signed)
  }

  /** Sets the key that has to sign from now on. False if the proof does not hold, or there is another key. */
  async setPublicKey(signed: SignedPresentation, bytes: Uint8Array): Promise<boolean> {
    const { users, store } = this.#options
    const publicKey = readKey(bytes)
    const shown = await users.prove(signed, publicKey)
    if (!shown) return false
    return store.claim(shown.idHash, publicKey.serialize(), this.#newFolders(), this.#refreshOf(shown.level))
  }

  /** Headers with which everything in the backup's folder can be read. */
  readHeaders({ backup }: BackupUser, cdn: number | undefined): Readonly<Record<string, string>> {
    if (cdn !== BACKUP_CDN) throw new Refusal('bad-request', { field: 'cdn', message: 'keeps no backups' })
    return this.#options.forms.readHeaders(backup.backupDir)
  }

  /** For the service that keeps the key of a backup of messages. */
  svrbCredentials(user: BackupUser): ExternalCredentials {
    mustBe(user, BackupCredentialType.Messages)
    return this.#options.svrb.issue(Buffer.from(user.idHash).toString('hex'))
  }

  info({ backup }: BackupUser): BackupInfo {
    const { backupDir, mediaDir, usage } = backup
    return { backupDir, mediaDir, cdn: BACKUP_CDN, backupName: MESSAGE_BACKUP, usedBytes: usage.bytes }
  }

  /** `info` for a credential of one kind only. */
  infoFor(user: BackupUser, type: BackupCredentialType): BackupInfo {
    mustBe(user, type)
    return this.info(user)
  }

  /** Keeps the backup from expiring; its media too, for who may keep media. */
  refresh({ idHash, level }: BackupUser): Promise<void> {
    return this.#options.store.refresh(idHash, this.#refreshOf(level))
  }

  /** A form for the backup of messages, which takes the place of the one before. */
  async messagesForm(user: BackupUser, uploadBytes: number | undefined): Promise<Formed> {
    const { forms, maxMessagesBytes } = this.#options
    mustBe(user, BackupCredentialType.Messages)
    if (isTooLarge(uploadBytes, maxMessagesBytes)) return { kind: 'too-large' }
    await this.refresh(user)
    const path = `${user.backup.backupDir}/${MESSAGE_BACKUP}`
    return { kind: 'formed', form: forms.backup(path, uploadBytes ?? maxMessagesBytes) }
  }

  /** A form for an attachment that nobody can connect with the account, to be copied into the backup. */
  async mediaForm(user: BackupUser, uploadBytes: number | undefined): Promise<Formed> {
    const { forms, limits, maxAttachmentBytes } = this.#options
    mustKeepMedia(user)
    if (isTooLarge(uploadBytes, maxAttachmentBytes)) return { kind: 'too-large' }
    await limits.take('backupAttachmentCreate', Buffer.from(user.idHash).toString('base64'))
    return { kind: 'formed', form: forms.attachment(uploadBytes ?? maxAttachmentBytes, BACKUP_CDN) }
  }

  /** Puts everything out of reach at once; the objects are deleted afterwards. */
  deleteAll({ backup }: BackupUser): Promise<void> {
    return this.#options.store.swap(backup, this.#newFolders())
  }

  #refreshOf(level: BackupLevel) {
    const dayMs = startOfDay(this.#options.clock.nowMs())
    return { dayMs, withMedia: level >= BackupLevel.Paid }
  }

  #newFolders(): Folders {
    const name = () => this.#options.random.bytes(FOLDER_NAME_BYTES).toString('base64url')
    return { backupDir: name(), mediaDir: name() }
  }
}

/** Refuses (400) an upload of nothing. */
function isTooLarge(uploadBytes: number | undefined, maxBytes: number): boolean {
  if (uploadBytes === 0)
    throw new Refusal('bad-request', { field: 'upload_length', message: 'must be at least 1' })
  return uploadBytes !== undefined && uploadBytes > maxBytes
}

function readKey(bytes: Uint8Array): PublicKey {
  try {
    return PublicKey.deserialize(new Uint8Array(bytes))
  } catch {
    throw new Refusal('bad-request', { field: 'public_key', message: 'must be a public key' })
  }
}
