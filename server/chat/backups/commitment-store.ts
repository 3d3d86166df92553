import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, SqlValue, Statement } from '../../kit/sql/sql.ts'

export type Commitment = {
  readonly messages: Uint8Array | undefined
  readonly media: Uint8Array | undefined
  readonly receiptSerial: Uint8Array | undefined
  readonly paidUntilMs: number
}

export type Redemption = {
  readonly aci: Aci
  readonly serial: Uint8Array
  readonly expiresAtMs: number
}

const bytes = (value: SqlValue | undefined) => (value instanceof Uint8Array ? value : undefined)

/** What accounts committed to, and the receipts that were redeemed. */
export class CommitmentStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async find(aci: Aci): Promise<Commitment | undefined> {
    const [row] = await this.#sql.read('SELECT * FROM backup_commitments WHERE aci = $1', [uuidToBytes(aci)])
    return (
      row && {
        messages: bytes(row['messages_request']),
        media: bytes(row['media_request']),
        receiptSerial: bytes(row['receipt_serial']),
        paidUntilMs: (row['paid_until_ms'] as number | null) ?? 0,
      }
    )
  }

  /** What is not given stays as it was. */
  commit(aci: Aci, { messages, media }: Partial<Pick<Commitment, 'messages' | 'media'>>): Statement {
    return {
      sql: `INSERT INTO backup_commitments (aci, messages_request, media_request) VALUES ($1, $2, $3)
            ON CONFLICT (aci) DO UPDATE SET
              messages_request = COALESCE(excluded.messages_request, backup_commitments.messages_request),
              media_request = COALESCE(excluded.media_request, backup_commitments.media_request)`,
      args: [uuidToBytes(aci), messages ?? null, media ?? null],
    }
  }

  /** `used`: the receipt was redeemed before. `uncommitted`: no id for media was set. Then nothing has changed. */
  async redeem({ aci, serial, expiresAtMs }: Redemption): Promise<'redeemed' | 'used' | 'uncommitted'> {
    const written = await this.#sql.write([
      {
        sql: `INSERT INTO redeemed_receipts (serial, expires_at_ms) VALUES ($1, $2)
              ON CONFLICT (serial) DO NOTHING`,
        args: [serial, expiresAtMs],
        must: 1,
      },
      {
        sql: `UPDATE backup_commitments SET receipt_serial = $2, paid_until_ms =
                CASE WHEN paid_until_ms > $3 THEN paid_until_ms ELSE $3 END
              WHERE aci = $1 AND media_request IS NOT NULL`,
        args: [uuidToBytes(aci), serial, expiresAtMs],
        must: 1,
      },
    ])
    if (written.ok) return 'redeemed'
    return written.unmet === 0 ? 'used' : 'uncommitted'
  }

  remove(aci: Aci): Statement {
    return { sql: 'DELETE FROM backup_commitments WHERE aci = $1', args: [uuidToBytes(aci)] }
  }

  async forgetReceipts(expiredBeforeMs: number): Promise<void> {
    await this.#sql.write([
      { sql: 'DELETE FROM redeemed_receipts WHERE expires_at_ms < $1', args: [expiredBeforeMs] },
    ])
  }
}
