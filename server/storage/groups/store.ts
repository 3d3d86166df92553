import type { Sql, SqlRow, SqlValue, Statement } from '../../kit/sql/sql.ts'

/** A version of a group: the change that led to it, and what it became, both serialized. */
export type StoredVersion = {
  readonly version: number
  readonly change: Uint8Array
  readonly changeEpoch: number
  readonly state: Uint8Array
}

type Bytes = Uint8Array<ArrayBuffer>
/** `state` is there where it was asked for. */
export type LoggedVersion = Omit<StoredVersion, 'change' | 'state'> & {
  readonly change: Bytes
  readonly state: Bytes | undefined
}

export type LogPage = {
  /** Both included. */
  readonly from: number
  readonly to: number
  /** The states of changes beyond this epoch are wanted, and of those at these versions. */
  readonly stateBeyondEpoch: number
  readonly statesAt: readonly number[]
}

/** The law: a version is written once, and only onto the one before it. */
export class GroupStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** False if there is such a group already, or one of the others is unmet; then nothing was kept. */
  async create(
    groupId: Uint8Array,
    first: StoredVersion,
    others: readonly Statement[] = [],
  ): Promise<boolean> {
    const state = {
      sql: 'INSERT INTO group_states (group_id, version, state) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      args: [groupId, first.version, first.state],
      must: 1,
    }
    return (await this.#sql.write([state, log(groupId, first), ...others])).ok
  }

  /** False if the group is at another version than the one before, or one of the others is unmet; then nothing was kept. */
  async change(
    groupId: Uint8Array,
    next: StoredVersion,
    others: readonly Statement[] = [],
  ): Promise<boolean> {
    const state = {
      sql: 'UPDATE group_states SET version = $2, state = $3 WHERE group_id = $1 AND version = $4',
      args: [groupId, next.version, next.state, next.version - 1],
      must: 1,
    }
    return (await this.#sql.write([state, log(groupId, next), ...others])).ok
  }

  /** The newest state, serialized. */
  async find(groupId: Uint8Array): Promise<Uint8Array | undefined> {
    const [row] = await this.#sql.read('SELECT state FROM group_states WHERE group_id = $1', [groupId])
    return row && (row['state'] as Uint8Array)
  }

  /** In their order. */
  async log(groupId: Uint8Array, page: LogPage): Promise<LoggedVersion[]> {
    const [first = -1, last = -1] = page.statesAt
    const rows = await this.#sql.read(
      `SELECT version, change, change_epoch,
              CASE WHEN change_epoch > $4 OR version = $5 OR version = $6 THEN state ELSE NULL END AS state
       FROM group_changes WHERE group_id = $1 AND version >= $2 AND version <= $3 ORDER BY version`,
      [groupId, page.from, page.to, page.stateBeyondEpoch, first, last],
    )
    return rows.map(toLogged)
  }
}

const log = (groupId: Uint8Array, logged: StoredVersion): Statement => ({
  sql: 'INSERT INTO group_changes (group_id, version, change, change_epoch, state) VALUES ($1, $2, $3, $4, $5)',
  args: [groupId, logged.version, logged.change, logged.changeEpoch, logged.state] satisfies SqlValue[],
})

const toLogged = (row: SqlRow): LoggedVersion => ({
  version: row['version'] as number,
  change: row['change'] as Bytes,
  changeEpoch: row['change_epoch'] as number,
  state: (row['state'] as Bytes | null) ?? undefined,
})
