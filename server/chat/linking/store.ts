import { type Aci, type DeviceId, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, SqlValue, Statement } from '../../kit/sql/sql.ts'

/** The device that a token was used for. */
export type Linked = { readonly deviceId: DeviceId; readonly createdAtMs: number }
/** For whom an archive is: a device that was linked anew has another registration id. */
export type Destination = {
  readonly aci: Aci
  readonly deviceId: DeviceId
  readonly registrationId: number
}
export const ARCHIVE_ERRORS = ['RELINK_REQUESTED', 'CONTINUE_WITHOUT_UPLOAD'] as const
export type ArchiveError = (typeof ARCHIVE_ERRORS)[number]
export type Archive = { readonly cdn: number; readonly key: string } | { readonly error: ArchiveError }
export const RESTORE_METHODS = ['REMOTE_BACKUP', 'LOCAL_BACKUP', 'DEVICE_TRANSFER', 'DECLINE'] as const
export type RestoreRequest = {
  readonly method: (typeof RESTORE_METHODS)[number]
  readonly bootstrap: Uint8Array | undefined
}

const TABLES = ['used_link_tokens', 'transfer_archives', 'restore_requests'] as const

/** The law: a token is used once, and nothing outlives its hour. */
export class LinkingStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Unmet if the token was used before. */
  use(aci: Aci, tokenId: Uint8Array, linked: Linked, expiresAtMs: number): Statement {
    return {
      sql: `INSERT INTO used_link_tokens (aci, token_id, device_id, device_created_at_ms, expires_at_ms)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (aci, token_id) DO NOTHING`,
      args: [uuidToBytes(aci), tokenId, linked.deviceId, linked.createdAtMs, expiresAtMs],
      must: 1,
    }
  }

  /** What a token was used for. */
  async linked(aci: Aci, tokenId: Uint8Array, nowMs: number): Promise<Linked | undefined> {
    const [row] = await this.#sql.read(
      `SELECT device_id, device_created_at_ms FROM used_link_tokens
       WHERE aci = $1 AND token_id = $2 AND expires_at_ms > $3`,
      [uuidToBytes(aci), tokenId, nowMs],
    )
    return row && { deviceId: row['device_id'] as number, createdAtMs: row['device_created_at_ms'] as number }
  }

  /** When the newest device was linked, be it still there or not; 0 if that is long ago. */
  async newestLinkedAtMs(aci: Aci): Promise<number> {
    const [row] = await this.#sql.read(
      'SELECT MAX(device_created_at_ms) AS newest FROM used_link_tokens WHERE aci = $1',
      [uuidToBytes(aci)],
    )
    return (row?.['newest'] as number | null) ?? 0
  }

  async putArchive(to: Destination, archive: Archive, expiresAtMs: number): Promise<void> {
    const place: SqlValue[] =
      'error' in archive ? [null, null, archive.error] : [archive.cdn, archive.key, null]
    await this.#sql.write([
      {
        sql: `INSERT INTO transfer_archives (aci, device_id, registration_id, cdn, archive_key, error, expires_at_ms)
              VALUES ($1, $2, $3, $4, $5, $6, $7)
              ON CONFLICT (aci, device_id, registration_id) DO UPDATE SET cdn = excluded.cdn,
                archive_key = excluded.archive_key, error = excluded.error,
                expires_at_ms = excluded.expires_at_ms`,
        args: [...destinationArgs(to), ...place, expiresAtMs],
      },
    ])
  }

  async archive(to: Destination, nowMs: number): Promise<Archive | undefined> {
    const [row] = await this.#sql.read(
      `SELECT cdn, archive_key, error FROM transfer_archives
       WHERE aci = $1 AND device_id = $2 AND registration_id = $3 AND expires_at_ms > $4`,
      [...destinationArgs(to), nowMs],
    )
    if (!row) return undefined
    const error = row['error'] as ArchiveError | null
    return error ? { error } : { cdn: row['cdn'] as number, key: row['archive_key'] as string }
  }

  async putRestoreRequest(token: string, request: RestoreRequest, expiresAtMs: number): Promise<void> {
    await this.#sql.write([
      {
        sql: `INSERT INTO restore_requests (token, method, bootstrap, expires_at_ms) VALUES ($1, $2, $3, $4)
              ON CONFLICT (token) DO UPDATE SET method = excluded.method, bootstrap = excluded.bootstrap,
                expires_at_ms = excluded.expires_at_ms`,
        args: [token, request.method, request.bootstrap ?? null, expiresAtMs],
      },
    ])
  }

  async restoreRequest(token: string, nowMs: number): Promise<RestoreRequest | undefined> {
    const [row] = await this.#sql.read(
      'SELECT method, bootstrap FROM restore_requests WHERE token = $1 AND expires_at_ms > $2',
      [token, nowMs],
    )
    if (!row) return undefined
    const bootstrap = row['bootstrap']
    return {
      method: row['method'] as RestoreRequest['method'],
      bootstrap: bootstrap instanceof Uint8Array ? bootstrap : undefined,
    }
  }

  /** Everything about an account. */
  clear(aci: Aci): Statement[] {
    return (['used_link_tokens', 'transfer_archives'] as const).map((table) => ({
      sql: `DELETE FROM ${table} WHERE aci = $1`,
      args: [uuidToBytes(aci)],
    }))
  }

  /** The archives for a device; its token stays used. */
  clearArchives(aci: Aci, deviceId?: DeviceId): Statement {
    const whole = 'DELETE FROM transfer_archives WHERE aci = $1'
    if (deviceId === undefined) return { sql: whole, args: [uuidToBytes(aci)] }
    return { sql: `${whole} AND device_id = $2`, args: [uuidToBytes(aci), deviceId] }
  }

  async forgetExpired(nowMs: number): Promise<void> {
    await this.#sql.write(
      TABLES.map((table) => ({ sql: `DELETE FROM ${table} WHERE expires_at_ms <= $1`, args: [nowMs] })),
    )
  }
}

const destinationArgs = ({ aci, deviceId, registrationId }: Destination): SqlValue[] => [
  uuidToBytes(aci),
  deviceId,
  registrationId,
]
