import { compact } from '../../../wire/types.ts'
import type { Usage } from '../../kit/backup-objects.ts'
import type { Sql, SqlRow, Statement } from '../../kit/sql/sql.ts'

/** Names of folders in the store of objects. */
export type Folders = { readonly backupDir: string; readonly mediaDir: string }

export type StoredBackup = Folders & {
  /** The first 16 bytes of the SHA-256 of the backup's id. */
  readonly idHash: Uint8Array
  readonly publicKey: Uint8Array
  readonly usage: Usage
  readonly usageCountedAtMs: number
}

/** Who may keep media refreshes them too. */
export type Refresh = { readonly dayMs: number; readonly withMedia: boolean }

const toStored = (row: SqlRow): StoredBackup => ({
  idHash: compact(row['id_hash'] as Uint8Array),
  publicKey: compact(row['public_key'] as Uint8Array),
  backupDir: row['backup_dir'] as string,
  mediaDir: row['media_dir'] as string,
  usage: { bytes: row['media_bytes'] as number, objects: row['media_objects'] as number },
  usageCountedAtMs: row['usage_counted_at_ms'] as number,
})

export const mediaFolderOf = ({ backupDir, mediaDir }: Folders): string => `${backupDir}/${mediaDir}`

const NO_USAGE = 'media_bytes = 0, media_objects = 0'

/** Backups, and the folders that are to be emptied. Knows no account. */
export class BackupStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async find(idHash: Uint8Array): Promise<StoredBackup | undefined> {
    const [row] = await this.#sql.read('SELECT * FROM stored_backups WHERE id_hash = $1', [idHash])
    return row && toStored(row)
  }

  /** Sets the key of a backup that has none, with new folders. False if it has another. */
  async claim(idHash: Uint8Array, publicKey: Uint8Array, fresh: Folders, refresh: Refresh): Promise<boolean> {
    const { dayMs, withMedia } = refresh
    return this.#write([
      {
        sql: `INSERT INTO stored_backups (id_hash, public_key, backup_dir, media_dir, refreshed_at_ms,
                media_refreshed_at_ms, media_bytes, media_objects, usage_counted_at_ms)
              VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0)
              ON CONFLICT (id_hash) DO UPDATE SET refreshed_at_ms = excluded.refreshed_at_ms,
                media_refreshed_at_ms =
                  COALESCE(excluded.media_refreshed_at_ms, stored_backups.media_refreshed_at_ms)
              WHERE stored_backups.public_key = excluded.public_key`,
        args: [idHash, publicKey, fresh.backupDir, fresh.mediaDir, dayMs, withMedia ? dayMs : null],
        must: 1,
      },
    ])
  }

  async refresh(idHash: Uint8Array, { dayMs, withMedia }: Refresh): Promise<void> {
    const media = withMedia ? ', media_refreshed_at_ms = $2' : ''
    await this.#write([
      {
        sql: `UPDATE stored_backups SET refreshed_at_ms = $2${media} WHERE id_hash = $1`,
        args: [idHash, dayMs],
      },
    ])
  }

  /** Counts media before they are there. False, and nothing counted, if there would be more than `maxBytes`. */
  reserve(backup: StoredBackup, { bytes, objects }: Usage, maxBytes: number): Promise<boolean> {
    return this.#write([
      {
        sql: `UPDATE stored_backups SET media_bytes = media_bytes + $3, media_objects = media_objects + $4
              WHERE id_hash = $1 AND media_dir = $2 AND media_bytes + $3 <= $5`,
        args: [backup.idHash, backup.mediaDir, bytes, objects, maxBytes],
        must: 1,
      },
    ])
  }

  /** Takes from the count what is not there after all. */
  async release(backup: StoredBackup, { bytes, objects }: Usage): Promise<void> {
    await this.#write([
      {
        sql: `UPDATE stored_backups SET
                media_bytes = CASE WHEN media_bytes > $3 THEN media_bytes - $3 ELSE 0 END,
                media_objects = CASE WHEN media_objects > $4 THEN media_objects - $4 ELSE 0 END
              WHERE id_hash = $1 AND media_dir = $2`,
        args: [backup.idHash, backup.mediaDir, bytes, objects],
      },
    ])
  }

  async setUsage(backup: StoredBackup, { bytes, objects }: Usage, countedAtMs: number): Promise<void> {
    await this.#write([
      {
        sql: `UPDATE stored_backups SET media_bytes = $3, media_objects = $4, usage_counted_at_ms = $5
              WHERE id_hash = $1 AND media_dir = $2`,
        args: [backup.idHash, backup.mediaDir, bytes, objects, countedAtMs],
      },
    ])
  }

  /** Gives a backup new, empty folders; the old ones are to be emptied. Unless it is used again, it has expired. */
  async swap(backup: StoredBackup, fresh: Folders): Promise<void> {
    await this.#write([
      {
        sql: `UPDATE stored_backups SET backup_dir = $3, media_dir = $4, refreshed_at_ms = 0,
                media_refreshed_at_ms = NULL, ${NO_USAGE} WHERE id_hash = $1 AND backup_dir = $2`,
        args: [backup.idHash, backup.backupDir, fresh.backupDir, fresh.mediaDir],
        must: 1,
      },
      discarding(backup.backupDir),
    ])
  }

  async notRefreshedSince(ms: number, limit: number): Promise<StoredBackup[]> {
    const rows = await this.#sql.read(
      'SELECT * FROM stored_backups WHERE refreshed_at_ms < $1 ORDER BY refreshed_at_ms LIMIT $2',
      [ms, limit],
    )
    return rows.map(toStored)
  }

  async mediaNotRefreshedSince(ms: number, limit: number): Promise<StoredBackup[]> {
    const rows = await this.#sql.read(
      'SELECT * FROM stored_backups WHERE media_refreshed_at_ms < $1 ORDER BY media_refreshed_at_ms LIMIT $2',
      [ms, limit],
    )
    return rows.map(toStored)
  }

  /** Removes a backup, unless it was refreshed meanwhile. */
  async expire(backup: StoredBackup, notRefreshedSinceMs: number): Promise<void> {
    await this.#write([
      {
        sql: `DELETE FROM stored_backups
              WHERE id_hash = $1 AND backup_dir = $2 AND refreshed_at_ms < $3`,
        args: [backup.idHash, backup.backupDir, notRefreshedSinceMs],
        must: 1,
      },
      discarding(backup.backupDir),
    ])
  }

  /** Removes the media of a backup, unless they were refreshed meanwhile. */
  async expireMedia(backup: StoredBackup, notRefreshedSinceMs: number, freshMediaDir: string): Promise<void> {
    await this.#write([
      {
        sql: `UPDATE stored_backups SET media_dir = $3, media_refreshed_at_ms = NULL, ${NO_USAGE}
              WHERE id_hash = $1 AND media_dir = $2 AND media_refreshed_at_ms < $4`,
        args: [backup.idHash, backup.mediaDir, freshMediaDir, notRefreshedSinceMs],
        must: 1,
      },
      discarding(mediaFolderOf(backup)),
    ])
  }

  async discarded(limit: number): Promise<string[]> {
    const rows = await this.#sql.read('SELECT folder FROM discarded_backup_folders LIMIT $1', [limit])
    return rows.map((row) => row['folder'] as string)
  }

  async forgetDiscarded(folder: string): Promise<void> {
    await this.#write([{ sql: 'DELETE FROM discarded_backup_folders WHERE folder = $1', args: [folder] }])
  }

  /** False if a condition was not met. */
  async #write(statements: readonly Statement[]): Promise<boolean> {
    return (await this.#sql.write(statements)).ok
  }
}

const discarding = (folder: string): Statement => ({
  sql: 'INSERT INTO discarded_backup_folders (folder) VALUES ($1) ON CONFLICT (folder) DO NOTHING',
  args: [folder],
})
