import type { E164 } from '../../../wire/types.ts'
import { DAY_MS } from '../../kit/days.ts'
import { outcomesOf, type Sql, type SqlRow, type Statement } from '../../kit/sql/sql.ts'

export type Invite = {
  readonly id: string
  readonly secretHash: Uint8Array
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly uses: number
  readonly usesLeft: number
  /** The only one that it lets in, in its canonical form. */
  readonly number: E164 | undefined
  readonly note: string
}

/** Six digits for one number. */
export type NumberCode = {
  readonly e164: E164
  readonly inviteId: string
  readonly digest: Uint8Array
  readonly attempts: number
  readonly expiresAtMs: number
}

export type Tried = { readonly inviteId: string; readonly digest: Uint8Array }

/** What is over is kept so long for the operator's list. */
export const LISTED_AFTER_MS = 30 * DAY_MS

/** Owns the tables of invites. */
export class InviteStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async add(invite: Invite): Promise<void> {
    await this.#sql.write([
      {
        sql: `INSERT INTO invites (invite_id, secret_hash, created_at_ms, expires_at_ms, uses, uses_left, number, note)
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
        args: [
          invite.id,
          invite.secretHash,
          invite.createdAtMs,
          invite.expiresAtMs,
          invite.uses,
          invite.usesLeft,
          invite.number ?? null,
          invite.note,
        ],
      },
    ])
  }

  async read(id: string): Promise<Invite | undefined> {
    const [row] = await this.#sql.read('SELECT * FROM invites WHERE invite_id = $1', [id])
    return row && toInvite(row)
  }

  /** The newest first. */
  async list(): Promise<Invite[]> {
    const rows = await this.#sql.read('SELECT * FROM invites ORDER BY created_at_ms DESC, invite_id')
    return rows.map(toInvite)
  }

  /** Nothing of it is good from then on; false if there is none. Sessions that it proved stay known as such. */
  async revoke(id: string): Promise<boolean> {
    const written = await this.#sql.write([
      { sql: 'DELETE FROM invites WHERE invite_id = $1', args: [id], must: 1 },
      { sql: 'DELETE FROM invite_codes WHERE invite_id = $1', args: [id] },
    ])
    return written.ok
  }

  /** The one before it is worth nothing from then on. False if the invite is no good any more. */
  async setCode(code: NumberCode, nowMs: number): Promise<boolean> {
    const written = await this.#sql.write([
      this.#standing(code.inviteId, nowMs),
      {
        sql: `INSERT INTO invite_codes (e164, invite_id, code_digest, attempts_left, expires_at_ms)
              VALUES ($1, $2, $3, $4, $5)
              ON CONFLICT (e164, invite_id) DO UPDATE SET code_digest = excluded.code_digest,
                attempts_left = excluded.attempts_left, expires_at_ms = excluded.expires_at_ms`,
        args: [code.e164, code.inviteId, code.digest, code.attempts, code.expiresAtMs],
      },
    ])
    return written.ok
  }

  /** Spends a try of every code that a number has, before one is looked at. */
  async tryCodes(e164: E164, nowMs: number): Promise<Tried[]> {
    const written = await this.#sql.write([
      {
        sql: `UPDATE invite_codes SET attempts_left = attempts_left - 1
              WHERE e164 = $1 AND attempts_left > 0 AND expires_at_ms > $2 RETURNING invite_id, code_digest`,
        args: [e164, nowMs],
      },
    ])
    return outcomesOf(written)[0]!.rows.map((row) => ({
      inviteId: row['invite_id'] as string,
      digest: row['code_digest'] as Uint8Array,
    }))
  }

  /** A session takes the place of the code that proved it; unmet if that is gone, or was good for another. */
  entering(sessionId: string, e164: E164, { inviteId, digest }: Tried, expiresAtMs: number): Statement[] {
    return [
      {
        sql: 'DELETE FROM invite_codes WHERE e164 = $1 AND invite_id = $2 AND code_digest = $3',
        args: [e164, inviteId, digest],
        must: 1,
      },
      {
        sql: 'INSERT INTO invite_sessions (session_id, invite_id, expires_at_ms) VALUES ($1, $2, $3)',
        args: [sessionId, inviteId, expiresAtMs],
      },
    ]
  }

  /** The invite by which a session was proven, whatever became of it; nothing if by none. */
  async inviteOf(sessionId: string): Promise<string | undefined> {
    const [row] = await this.#sql.read('SELECT invite_id FROM invite_sessions WHERE session_id = $1', [
      sessionId,
    ])
    return row && (row['invite_id'] as string)
  }

  /** Uses an invite up by one; unmet if there is nothing left of it. Whom it was for is forgotten with its last use. */
  consumption(id: string, nowMs: number): Statement {
    return {
      sql: `UPDATE invites SET uses_left = uses_left - 1, number = CASE WHEN uses_left = 1 THEN NULL ELSE number END
            WHERE invite_id = $1 AND uses_left > 0 AND expires_at_ms > $2`,
      args: [id, nowMs],
      must: 1,
    }
  }

  /** What a number and its session had of invites goes; unmet if the session was relied on before. */
  leaving(sessionId: string, e164: E164): Statement[] {
    return [
      { sql: 'DELETE FROM invite_sessions WHERE session_id = $1', args: [sessionId], must: 1 },
      { sql: 'DELETE FROM invite_codes WHERE e164 = $1', args: [e164] },
    ]
  }

  async expire(nowMs: number): Promise<void> {
    await this.#sql.write([
      { sql: 'DELETE FROM invite_codes WHERE expires_at_ms <= $1', args: [nowMs] },
      { sql: 'DELETE FROM invite_sessions WHERE expires_at_ms <= $1', args: [nowMs] },
      { sql: 'DELETE FROM invites WHERE expires_at_ms <= $1', args: [nowMs - LISTED_AFTER_MS] },
    ])
  }

  #standing(id: string, nowMs: number): Statement {
    return {
      sql: 'UPDATE invites SET uses_left = uses_left WHERE invite_id = $1 AND uses_left > 0 AND expires_at_ms > $2',
      args: [id, nowMs],
      must: 1,
    }
  }
}

const toInvite = (row: SqlRow): Invite => ({
  id: row['invite_id'] as string,
  secretHash: row['secret_hash'] as Uint8Array,
  createdAtMs: row['created_at_ms'] as number,
  expiresAtMs: row['expires_at_ms'] as number,
  uses: row['uses'] as number,
  usesLeft: row['uses_left'] as number,
  number: (row['number'] as E164 | null) ?? undefined,
  note: row['note'] as string,
})
