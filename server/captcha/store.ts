import type { Sql } from '../kit/sql/sql.ts'

export type Spendable = { readonly site: string; readonly id: string; readonly expiresAtMs: number }

/** The wall clock may step back by so much before something that expired is forgotten too early. */
const GRACE_MS = 3_600_000

export class SpentStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** True once for each id, however many ask at once, in whatever process; on disk when it resolves. */
  async spend({ site, id, expiresAtMs }: Spendable): Promise<boolean> {
    const written = await this.#sql.write([
      {
        sql: `INSERT INTO captcha_spent (site, spent_id, expires_at_ms) VALUES ($1, $2, $3)
              ON CONFLICT (site, spent_id) DO NOTHING`,
        args: [site, Buffer.from(id, 'base64url'), expiresAtMs + GRACE_MS],
        must: 1,
      },
    ])
    return written.ok
  }

  async forget(nowMs: number): Promise<void> {
    await this.#sql.write([{ sql: 'DELETE FROM captcha_spent WHERE expires_at_ms <= $1', args: [nowMs] }])
  }
}
