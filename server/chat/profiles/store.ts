import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import { outcomesOf, type Sql, type SqlRow, type SqlValue, type Statement } from '../../kit/sql/sql.ts'
import type { ProfileFields, ProfileVersion, StoredProfile } from './profile.ts'

const OF = 'aci = $1 AND version = $2'
const UNWANT = 'INSERT INTO unwanted_avatars (object_key, due_at_ms)'

/** The law: whoever takes an avatar's name away hands the object in, in the same list. */
export class ProfileStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async read(aci: Aci, version: ProfileVersion): Promise<StoredProfile | undefined> {
    const [row] = await this.#sql.read(
      `SELECT profile_versions.*, current_profiles.version AS current_version
       FROM profile_versions LEFT JOIN current_profiles ON current_profiles.aci = profile_versions.aci
       WHERE profile_versions.aci = $1 AND profile_versions.version = $2`,
      [uuidToBytes(aci), version],
    )
    return row && toProfile(row)
  }

  /** The first commitment of a version stays. */
  commit(aci: Aci, version: ProfileVersion, commitment: Uint8Array): Statement {
    return {
      sql: `INSERT INTO profile_versions (aci, version, commitment) VALUES ($1, $2, $3)
            ON CONFLICT (aci, version) DO NOTHING`,
      args: [uuidToBytes(aci), version, commitment],
    }
  }

  /** Unmet if the version has another commitment already. */
  commitSame(aci: Aci, version: ProfileVersion, commitment: Uint8Array): Statement {
    return {
      sql: `INSERT INTO profile_versions (aci, version, commitment) VALUES ($1, $2, $3)
            ON CONFLICT (aci, version) DO UPDATE SET commitment = excluded.commitment
              WHERE profile_versions.commitment = excluded.commitment`,
      args: [uuidToBytes(aci), version, commitment],
      must: 1,
    }
  }

  /** Unmet if there is no such version. */
  exists(aci: Aci, version: ProfileVersion): Statement {
    return {
      sql: `UPDATE profile_versions SET version = version WHERE ${OF}`,
      args: [uuidToBytes(aci), version],
      must: 1,
    }
  }

  setFields(aci: Aci, version: ProfileVersion, fields: ProfileFields): Statement {
    const { name, about, aboutEmoji, phoneNumberSharing, paymentAddress } = fields
    return {
      sql: `UPDATE profile_versions SET name = $3, about = $4, about_emoji = $5, phone_number_sharing = $6,
              payment_address = $7 WHERE ${OF}`,
      args: [
        ...[uuidToBytes(aci), version, name ?? null, about ?? null, aboutEmoji ?? null],
        ...[phoneNumberSharing ?? null, paymentAddress ?? null],
      ],
    }
  }

  /** Unmet if the data that this replaces is not the expected one; nothing means that there must be none. */
  setData(aci: Aci, version: ProfileVersion, to: Hashed, expectedHash: Uint8Array | undefined): Statement {
    const set = `UPDATE profile_versions SET data = $3, data_hash = $4 WHERE ${OF}`
    const args = [uuidToBytes(aci), version, to.data, to.hash]
    if (expectedHash === undefined) return { sql: `${set} AND data_hash IS NULL`, args, must: 1 }
    return { sql: `${set} AND data_hash = $5`, args: [...args, expectedHash], must: 1 }
  }

  /** Takes what is of the second kind from every version. */
  dropData(aci: Aci): Statement {
    return {
      sql: 'UPDATE profile_versions SET data = NULL, data_hash = NULL WHERE aci = $1 AND data IS NOT NULL',
      args: [uuidToBytes(aci)],
    }
  }

  setAvatar(aci: Aci, version: ProfileVersion, key: string | undefined, dueAtMs: number): Statement[] {
    const owner = [uuidToBytes(aci), version]
    return [
      {
        sql: `${UNWANT} SELECT avatar, CAST($3 AS BIGINT) FROM profile_versions
              WHERE ${OF} AND avatar IS NOT NULL ON CONFLICT (object_key) DO NOTHING`,
        args: [...owner, dueAtMs],
      },
      { sql: `UPDATE profile_versions SET avatar = $3 WHERE ${OF}`, args: [...owner, key ?? null] },
    ]
  }

  makeCurrent(aci: Aci, version: ProfileVersion): Statement {
    return {
      sql: `INSERT INTO current_profiles (aci, version) VALUES ($1, $2)
            ON CONFLICT (aci) DO UPDATE SET version = excluded.version`,
      args: [uuidToBytes(aci), version],
    }
  }

  /** Unmet if the current version is not the expected one; nothing means that there must be none. */
  moveCurrent(aci: Aci, version: ProfileVersion, expected: ProfileVersion | undefined): Statement {
    const owner = [uuidToBytes(aci), version]
    if (expected === undefined)
      return {
        sql: 'INSERT INTO current_profiles (aci, version) VALUES ($1, $2) ON CONFLICT (aci) DO NOTHING',
        args: owner,
        must: 1,
      }
    return {
      sql: 'UPDATE current_profiles SET version = $2 WHERE aci = $1 AND version = $3',
      args: [...owner, expected],
      must: 1,
    }
  }

  /** Every version of an account; its avatars are handed in. */
  clear(aci: Aci, dueAtMs: number): Statement[] {
    const owner = uuidToBytes(aci)
    return [
      {
        sql: `${UNWANT} SELECT avatar, CAST($2 AS BIGINT) FROM profile_versions
              WHERE aci = $1 AND avatar IS NOT NULL ON CONFLICT (object_key) DO NOTHING`,
        args: [owner, dueAtMs],
      },
      { sql: 'DELETE FROM profile_versions WHERE aci = $1', args: [owner] },
      { sql: 'DELETE FROM current_profiles WHERE aci = $1', args: [owner] },
    ]
  }

  /** Puts an avatar in a place; the one that was there is handed in. */
  async takePlace(identity: Uint8Array, key: string, expiresAtMs: number, dueAtMs: number): Promise<void> {
    await this.#write([
      unwantOfPlace(identity, dueAtMs),
      {
        sql: `INSERT INTO avatar_places (identity, object_key, expires_at_ms) VALUES ($1, $2, $3)
              ON CONFLICT (identity) DO UPDATE SET object_key = excluded.object_key,
                expires_at_ms = excluded.expires_at_ms`,
        args: [identity, key, expiresAtMs],
      },
    ])
  }

  /** The object in a place that is kept longer now; nothing if none is there. */
  async extendPlace(identity: Uint8Array, expiresAtMs: number, nowMs: number): Promise<string | undefined> {
    const [extended] = await this.#write([
      {
        sql: `UPDATE avatar_places SET expires_at_ms = $2 WHERE identity = $1 AND expires_at_ms > $3
              RETURNING object_key`,
        args: [identity, expiresAtMs, nowMs],
      },
    ])
    return extended?.rows[0]?.['object_key'] as string | undefined
  }

  async leavePlace(identity: Uint8Array, dueAtMs: number): Promise<void> {
    await this.#write([
      unwantOfPlace(identity, dueAtMs),
      { sql: 'DELETE FROM avatar_places WHERE identity = $1', args: [identity] },
    ])
  }

  async expirePlaces(nowMs: number): Promise<void> {
    await this.#write([
      {
        sql: `${UNWANT} SELECT object_key, CAST($1 AS BIGINT) FROM avatar_places WHERE expires_at_ms <= $1
              ON CONFLICT (object_key) DO NOTHING`,
        args: [nowMs],
      },
      { sql: 'DELETE FROM avatar_places WHERE expires_at_ms <= $1', args: [nowMs] },
    ])
  }

  /** Objects that are due, the oldest first. */
  async unwanted(nowMs: number, limit: number): Promise<string[]> {
    const rows = await this.#sql.read(
      'SELECT object_key FROM unwanted_avatars WHERE due_at_ms <= $1 ORDER BY due_at_ms LIMIT $2',
      [nowMs, limit],
    )
    return rows.map((row) => row['object_key'] as string)
  }

  async forgetUnwanted(key: string): Promise<void> {
    await this.#write([{ sql: 'DELETE FROM unwanted_avatars WHERE object_key = $1', args: [key] }])
  }

  async postponeUnwanted(key: string, dueAtMs: number): Promise<void> {
    await this.#write([
      { sql: 'UPDATE unwanted_avatars SET due_at_ms = $2 WHERE object_key = $1', args: [key, dueAtMs] },
    ])
  }

  async #write(statements: readonly Statement[]) {
    return outcomesOf(await this.#sql.write(statements))
  }
}

type Hashed = { readonly data: Uint8Array; readonly hash: Uint8Array }

const unwantOfPlace = (identity: Uint8Array, dueAtMs: number): Statement => ({
  sql: `${UNWANT} SELECT object_key, CAST($2 AS BIGINT) FROM avatar_places WHERE identity = $1
        ON CONFLICT (object_key) DO NOTHING`,
  args: [identity, dueAtMs],
})

const optional = (value: SqlValue | undefined): Uint8Array | undefined =>
  value instanceof Uint8Array ? value : undefined

const toProfile = (row: SqlRow): StoredProfile => {
  const version = row['version'] as Uint8Array
  const current = optional(row['current_version'])
  return {
    version,
    commitment: row['commitment'] as Uint8Array,
    name: optional(row['name']),
    about: optional(row['about']),
    aboutEmoji: optional(row['about_emoji']),
    phoneNumberSharing: optional(row['phone_number_sharing']),
    paymentAddress: optional(row['payment_address']),
    avatar: (row['avatar'] as string | null) ?? undefined,
    data: optional(row['data']),
    isCurrent: current !== undefined && Buffer.compare(current, version) === 0,
    hasCurrent: current !== undefined,
  }
}
