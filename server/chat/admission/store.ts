import type { Sql } from '../../kit/sql/sql.ts'

const STOP = 'stop'

/** Owns the switches that the operator throws by hand. */
export class SwitchStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Since when nobody new is let in; asked of the storage each time, so that every process sees it at once. */
  async stoppedSinceMs(): Promise<number | undefined> {
    const [row] = await this.#sql.read('SELECT since_ms FROM registration_switches WHERE name = $1', [STOP])
    return row && (row['since_ms'] as number)
  }

  async stop(nowMs: number): Promise<void> {
    await this.#sql.write([
      {
        sql: 'INSERT INTO registration_switches (name, since_ms) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING',
        args: [STOP, nowMs],
      },
    ])
  }

  async start(): Promise<void> {
    await this.#sql.write([{ sql: 'DELETE FROM registration_switches WHERE name = $1', args: [STOP] }])
  }
}
