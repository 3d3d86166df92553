import { outcomesOf, type Sql, type Statement } from '../../kit/sql/sql.ts'

export type DoubtfulAvatar = { readonly groupId: Uint8Array; readonly objectKey: string }

/** The law: a picture that was claimed is named by no change any more, and one that a change names is not claimed. */
export class DoubtfulAvatarStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Before its form is given out: nobody may ever name it. */
  async begin(avatar: DoubtfulAvatar, dueAtMs: number): Promise<void> {
    outcomesOf(await this.#sql.write([this.leaving(avatar, dueAtMs)]))
  }

  /** For the change after which a group has another picture. */
  leaving({ groupId, objectKey }: DoubtfulAvatar, dueAtMs: number): Statement {
    return {
      sql: `INSERT INTO doubtful_group_avatars (group_id, object_key, due_at_ms, claimed) VALUES ($1, $2, $3, 0)
            ON CONFLICT (group_id, object_key) DO UPDATE SET due_at_ms = excluded.due_at_ms`,
      args: [groupId, objectKey, dueAtMs],
    }
  }

  /** For the change that names it: it waits for whoever is claiming it, and is unmet if that was done. */
  naming({ groupId, objectKey }: DoubtfulAvatar, dueAtMs: number): Statement[] {
    const where = 'WHERE group_id = $1 AND object_key = $2'
    return [
      {
        sql: `UPDATE doubtful_group_avatars SET due_at_ms = $3 ${where} AND claimed = 0`,
        args: [groupId, objectKey, dueAtMs],
      },
      {
        sql: `UPDATE doubtful_group_avatars SET claimed = 1 ${where} AND claimed = 1`,
        args: [groupId, objectKey],
        must: 0,
      },
    ]
  }

  /** The longest due first. */
  async due(nowMs: number, limit: number): Promise<DoubtfulAvatar[]> {
    const rows = await this.#sql.read(
      'SELECT group_id, object_key FROM doubtful_group_avatars WHERE due_at_ms <= $1 ORDER BY due_at_ms LIMIT $2',
      [nowMs, limit],
    )
    return rows.map((row) => ({
      groupId: row['group_id'] as Uint8Array,
      objectKey: row['object_key'] as string,
    }))
  }

  /** False if a change came before. */
  async claim({ groupId, objectKey }: DoubtfulAvatar, nowMs: number): Promise<boolean> {
    const claim = {
      sql: `UPDATE doubtful_group_avatars SET claimed = 1
            WHERE group_id = $1 AND object_key = $2 AND due_at_ms <= $3`,
      args: [groupId, objectKey, nowMs],
      must: 1,
    }
    return (await this.#sql.write([claim])).ok
  }

  async forget({ groupId, objectKey }: DoubtfulAvatar): Promise<void> {
    const args = [groupId, objectKey]
    const sql = 'DELETE FROM doubtful_group_avatars WHERE group_id = $1 AND object_key = $2'
    outcomesOf(await this.#sql.write([{ sql, args }]))
  }

  /** It stays claimed. */
  async postpone({ groupId, objectKey }: DoubtfulAvatar, dueAtMs: number): Promise<void> {
    const args = [groupId, objectKey, dueAtMs]
    const sql =
      'UPDATE doubtful_group_avatars SET due_at_ms = $3 WHERE group_id = $1 AND object_key = $2 AND claimed = 1'
    outcomesOf(await this.#sql.write([{ sql, args }]))
  }
}
