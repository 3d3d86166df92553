import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'

export type TotpKey = {
  readonly id: number
  readonly secret: Uint8Array
  /** Encrypted by the client. */
  readonly metadata: Uint8Array
  /** The newest step whose password was accepted. */
  readonly lastStep: number
}
export type PendingKey = { readonly secret: Uint8Array; readonly createdAtMs: number }

export class TotpStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async keys(aci: Aci): Promise<TotpKey[]> {
    const rows = await this.#sql.read('SELECT * FROM totp_keys WHERE aci = $1 ORDER BY key_id', [
      uuidToBytes(aci),
    ])
    return rows.map((row) => ({
      id: row['key_id'] as number,
      secret: row['secret'] as Uint8Array,
      metadata: row['metadata'] as Uint8Array,
      lastStep: row['last_step'] as number,
    }))
  }

  async pending(aci: Aci): Promise<PendingKey | undefined> {
    const [row] = await this.#sql.read('SELECT * FROM pending_totp_keys WHERE aci = $1', [uuidToBytes(aci)])
    return row && { secret: row['secret'] as Uint8Array, createdAtMs: row['created_at_ms'] as number }
  }

  setPending(aci: Aci, { secret, createdAtMs }: PendingKey): Statement {
    return {
      sql: `INSERT INTO pending_totp_keys (aci, secret, created_at_ms) VALUES ($1, $2, $3)
            ON CONFLICT (aci) DO UPDATE SET secret = excluded.secret, created_at_ms = excluded.created_at_ms`,
      args: [uuidToBytes(aci), secret, createdAtMs],
    }
  }

  clearPending(aci: Aci): Statement {
    return { sql: 'DELETE FROM pending_totp_keys WHERE aci = $1', args: [uuidToBytes(aci)] }
  }

  add(aci: Aci, key: TotpKey): Statement {
    return {
      sql: 'INSERT INTO totp_keys (aci, key_id, secret, metadata, last_step) VALUES ($1, $2, $3, $4, $5)',
      args: [uuidToBytes(aci), key.id, key.secret, key.metadata, key.lastStep],
    }
  }

  describe(aci: Aci, id: number, metadata: Uint8Array): Statement {
    return {
      sql: 'UPDATE totp_keys SET metadata = $1 WHERE aci = $2 AND key_id = $3',
      args: [metadata, uuidToBytes(aci), id],
    }
  }

  /** Accepts the password of a step; unmet if it, or a later one, was accepted before. */
  accept(aci: Aci, id: number, step: number): Statement {
    return {
      sql: 'UPDATE totp_keys SET last_step = $1 WHERE aci = $2 AND key_id = $3 AND last_step < $4',
      args: [step, uuidToBytes(aci), id, step],
      must: 1,
    }
  }

  remove(aci: Aci, id: number): Statement {
    return { sql: 'DELETE FROM totp_keys WHERE aci = $1 AND key_id = $2', args: [uuidToBytes(aci), id] }
  }

  clear(aci: Aci): Statement[] {
    return [{ sql: 'DELETE FROM totp_keys WHERE aci = $1', args: [uuidToBytes(aci)] }, this.clearPending(aci)]
  }

  async write(statements: readonly Statement[]): Promise<boolean> {
    return (await this.#sql.write(statements)).ok
  }
}
