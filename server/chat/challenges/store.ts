import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'

/** An account has one challenge at a time. */
export class PushChallengeStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** False, and nothing changes, while an earlier one is valid. */
  async add(aci: Aci, digest: Uint8Array, expiresAtMs: number, nowMs: number): Promise<boolean> {
    const written = await this.#sql.write([
      {
        sql: `INSERT INTO push_challenges (aci, digest, expires_at_ms) VALUES ($1, $2, $3)
              ON CONFLICT (aci) DO UPDATE SET digest = excluded.digest, expires_at_ms = excluded.expires_at_ms
              WHERE push_challenges.expires_at_ms <= $4`,
        args: [uuidToBytes(aci), digest, expiresAtMs, nowMs],
        must: 1,
      },
    ])
    return written.ok
  }

  /** Takes the challenge away if it is the right one and still valid; true then, once. */
  async take(aci: Aci, digest: Uint8Array, nowMs: number): Promise<boolean> {
    const written = await this.#sql.write([
      {
        sql: 'DELETE FROM push_challenges WHERE aci = $1 AND digest = $2 AND expires_at_ms > $3',
        args: [uuidToBytes(aci), digest, nowMs],
        must: 1,
      },
    ])
    return written.ok
  }

  clear(aci: Aci): Statement {
    return { sql: 'DELETE FROM push_challenges WHERE aci = $1', args: [uuidToBytes(aci)] }
  }

  async clearNow(aci: Aci): Promise<void> {
    await this.#sql.write([this.clear(aci)])
  }

  async expire(nowMs: number): Promise<void> {
    await this.#sql.write([{ sql: 'DELETE FROM push_challenges WHERE expires_at_ms <= $1', args: [nowMs] }])
  }
}
