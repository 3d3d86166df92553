import type { Sql, Statement } from '../../kit/sql/sql.ts'

export type GivenReceipt = {
  readonly inviteId: string
  readonly requestHash: Uint8Array
  readonly expirationSeconds: number
  /** Until then the same request gets the same. */
  readonly forgetAtMs: number
}

/** Owns the tables of receipts for accounts without a number. */
export class LoginReceiptStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** When the receipt for a request ends, if it was given. */
  async issued(inviteId: string, requestHash: Uint8Array): Promise<number | undefined> {
    const [row] = await this.#sql.read(
      'SELECT expiration_seconds FROM invite_receipts WHERE invite_id = $1 AND request_hash = $2',
      [inviteId, requestHash],
    )
    return row && (row['expiration_seconds'] as number)
  }

  /** Notes a receipt together with what pays it; false if that, or the request, was used already. */
  async issue(
    { inviteId, requestHash, expirationSeconds, forgetAtMs }: GivenReceipt,
    payment: Statement,
  ): Promise<boolean> {
    const written = await this.#sql.write([
      payment,
      {
        sql: `INSERT INTO invite_receipts (invite_id, request_hash, expiration_seconds, forget_at_ms)
              VALUES ($1, $2, $3, $4)
              ON CONFLICT (invite_id, request_hash) DO NOTHING`,
        args: [inviteId, requestHash, expirationSeconds, forgetAtMs],
        must: 1,
      },
    ])
    return written.ok
  }

  async isRedeemed(serialHash: Uint8Array): Promise<boolean> {
    const rows = await this.#sql.read(
      'SELECT serial_hash FROM redeemed_login_receipts WHERE serial_hash = $1',
      [serialHash],
    )
    return rows.length > 0
  }

  /** Unmet if the receipt was used before. */
  redemption(serialHash: Uint8Array, expiresAtMs: number): Statement {
    return {
      sql: `INSERT INTO redeemed_login_receipts (serial_hash, expires_at_ms) VALUES ($1, $2)
            ON CONFLICT (serial_hash) DO NOTHING`,
      args: [serialHash, expiresAtMs],
      must: 1,
    }
  }

  /** Receipts that ended cannot be used again. */
  async expire(nowMs: number): Promise<void> {
    await this.#sql.write([
      { sql: 'DELETE FROM redeemed_login_receipts WHERE expires_at_ms <= $1', args: [nowMs] },
      { sql: 'DELETE FROM invite_receipts WHERE forget_at_ms <= $1', args: [nowMs] },
    ])
  }
}
