import { type Aci, compact, uuidFromBytes, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, SqlRow, SqlValue, Statement } from '../../kit/sql/sql.ts'
import type { Claim, ClaimState } from './claim.ts'

/** The statements go together with a write of the account whose they are: its version keeps them apart. */
export class UsernameStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** What is known of these hashes, in no order; expired claims among them. */
  async claimsOf(hashes: readonly Uint8Array[]): Promise<Claim[]> {
    const places = hashes.map((_, index) => `$${index + 1}`).join(', ')
    const rows = await this.#sql.read(`SELECT * FROM username_claims WHERE hash IN (${places})`, hashes)
    return rows.map(toClaim)
  }

  async reservedBy(aci: Aci): Promise<Uint8Array | undefined> {
    const [row] = await this.#sql.read('SELECT hash FROM username_reservations WHERE aci = $1', [of(aci)])
    return row && (row['hash'] as Uint8Array)
  }

  async linked(handle: string): Promise<Uint8Array | undefined> {
    const [row] = await this.#sql.read('SELECT ciphertext FROM username_links WHERE handle = $1', [
      uuidToBytes(handle),
    ])
    return row && (row['ciphertext'] as Uint8Array)
  }

  /** Takes a username, or changes a claim; unmet at 1 if it is owned, or is somebody else's and has not expired. */
  claim({ hash, aci, state, sinceVersion, expiresAtMs }: Claim, nowMs: number): Statement[] {
    return [
      {
        sql: `DELETE FROM username_claims
              WHERE hash = $1 AND (expires_at_ms <= $2 OR (aci = $3 AND state <> 'owned'))`,
        args: [hash, nowMs, of(aci)],
      },
      {
        sql: `INSERT INTO username_claims (hash, aci, state, since_version, expires_at_ms)
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash) DO NOTHING`,
        args: [hash, of(aci), state, sinceVersion, expiresAtMs ?? null],
        must: 1,
      },
    ]
  }

  /** Owns a username no longer, and keeps others off until `expiresAtMs`. */
  release(
    { hash, aci, sinceVersion }: Pick<Claim, 'hash' | 'aci' | 'sinceVersion'>,
    state: 'held' | 'reclaimable',
    expiresAtMs: number,
  ): Statement {
    return {
      sql: `UPDATE username_claims SET state = $1, since_version = $2, expires_at_ms = $3
            WHERE hash = $4 AND aci = $5 AND state = 'owned'`,
      args: [state, sinceVersion, expiresAtMs, hash, of(aci)],
    }
  }

  /** Lets go of what an account holds beyond its latest `most`. */
  trimHolds(aci: Aci, most: number): Statement {
    return {
      sql: `DELETE FROM username_claims WHERE aci = $1 AND state = 'held' AND hash NOT IN
              (SELECT hash FROM username_claims WHERE aci = $2 AND state = 'held'
               ORDER BY since_version DESC LIMIT ${most})`,
      args: [of(aci), of(aci)],
    }
  }

  /** A few of the claims that nobody has any more. */
  forgetExpired(nowMs: number): Statement {
    return {
      sql: `DELETE FROM username_claims WHERE hash IN
              (SELECT hash FROM username_claims WHERE expires_at_ms <= $1 LIMIT 10)`,
      args: [nowMs],
    }
  }

  reserve(aci: Aci, hash: Uint8Array): Statement {
    return {
      sql: `INSERT INTO username_reservations (aci, hash) VALUES ($1, $2)
            ON CONFLICT (aci) DO UPDATE SET hash = excluded.hash`,
      args: [of(aci), hash],
    }
  }

  forgetReservation(aci: Aci): Statement {
    return { sql: 'DELETE FROM username_reservations WHERE aci = $1', args: [of(aci)] }
  }

  link(aci: Aci, handle: string, ciphertext: Uint8Array): Statement {
    return {
      sql: `INSERT INTO username_links (handle, aci, ciphertext) VALUES ($1, $2, $3)
            ON CONFLICT (handle) DO UPDATE SET ciphertext = excluded.ciphertext
            WHERE username_links.aci = excluded.aci`,
      args: [uuidToBytes(handle), of(aci), ciphertext],
      must: 1,
    }
  }

  unlink(aci: Aci, handle: string | undefined): Statement[] {
    if (handle === undefined) return []
    return [
      {
        sql: 'DELETE FROM username_links WHERE handle = $1 AND aci = $2',
        args: [uuidToBytes(handle), of(aci)],
      },
    ]
  }

  /** Every name that an account has, holds or reserved. */
  clear(aci: Aci): Statement[] {
    return [
      { sql: 'DELETE FROM username_claims WHERE aci = $1', args: [of(aci)] },
      this.forgetReservation(aci),
    ]
  }
}

const of = (aci: Aci): SqlValue => uuidToBytes(aci)

const toClaim = (row: SqlRow): Claim => ({
  hash: compact(row['hash'] as Uint8Array),
  aci: uuidFromBytes(row['aci'] as Uint8Array) as Aci,
  state: row['state'] as ClaimState,
  sinceVersion: row['since_version'] as number,
  expiresAtMs: (row['expires_at_ms'] as number | null) ?? undefined,
})
