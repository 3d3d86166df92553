import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import { outcomesOf, type Sql, type Statement } from '../../kit/sql/sql.ts'

export class ReportStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Counts a reporter once; again is as if it had been now. Gives how many there are of the account. */
  async add(aci: Aci, reporter: Uint8Array, expiresAtMs: number, nowMs: number): Promise<number> {
    const written = await this.#sql.write([
      {
        sql: `INSERT INTO message_reports (aci, reporter, expires_at_ms) VALUES ($1, $2, $3)
              ON CONFLICT (aci, reporter) DO UPDATE SET expires_at_ms = excluded.expires_at_ms`,
        args: [uuidToBytes(aci), reporter, expiresAtMs],
      },
    ])
    outcomesOf(written)
    return this.count(aci, nowMs)
  }

  async count(aci: Aci, nowMs: number): Promise<number> {
    const [row] = await this.#sql.read(
      'SELECT COUNT(*) AS reporters FROM message_reports WHERE aci = $1 AND expires_at_ms > $2',
      [uuidToBytes(aci), nowMs],
    )
    return Number(row!['reporters'])
  }

  clear(aci: Aci): Statement {
    return { sql: 'DELETE FROM message_reports WHERE aci = $1', args: [uuidToBytes(aci)] }
  }

  async expire(nowMs: number): Promise<void> {
    await this.#sql.write([{ sql: 'DELETE FROM message_reports WHERE expires_at_ms <= $1', args: [nowMs] }])
  }
}
