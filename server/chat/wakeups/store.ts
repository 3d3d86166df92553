import { type Aci, type DeviceId, uuidFromBytes, uuidToBytes } from '../../../wire/types.ts'
import { outcomesOf, type Sql, type SqlRow, type Statement } from '../../kit/sql/sql.ts'
import type { Queue } from '../messages/store.ts'

/** A device that may have to be woken. */
export type WakeUp = {
  readonly aci: Aci
  readonly deviceId: DeviceId
  readonly deviceCreatedAtMs: number
  readonly urgent: boolean
  /** Pushes that went out for what waits now. */
  readonly stage: number
  /** Pushes in a row that did not get through. */
  readonly attempts: number
  readonly dueAtMs: number
  readonly version: number
  /** When a push of its kind went out. */
  readonly sentAtMs: number
}

/** One that somebody works on. */
export type TakenWakeUp = WakeUp & { readonly sentBeforeMs: number }

/** The least time between two pushes to a device that did not come. */
export type Spacing = { readonly urgentMs: number; readonly backgroundMs: number }

const OF = 'aci = $1 AND device_id = $2 AND device_created_at_ms = $3'
const VALUES = `INSERT INTO wake_ups (aci, device_id, device_created_at_ms, urgent, stage, attempts, due_at_ms,
    urgent_sent_at_ms, background_sent_at_ms, version)`
/** The moment from which another push may go out. */
const earliest = (sent: string) =>
  `CASE WHEN wake_ups.${sent} + $5 > $4 THEN wake_ups.${sent} + $5 ELSE $4 END`
const URGENT_FROM = earliest('urgent_sent_at_ms')
const BACKGROUND_FROM = earliest('background_sent_at_ms')
/** An urgent one takes the place of whatever would be later; what is being tried again is as early as can be. */
const URGENT_HELPS = `(wake_ups.due_at_ms IS NULL OR wake_ups.urgent = 0
    OR (wake_ups.attempts = 0 AND wake_ups.due_at_ms > ${URGENT_FROM}))`
/** What is on its way is for older messages: it is not hurried, but it is not the end either. */
const BEGINS_ANEW = 'wake_ups.attempts > 0 AND wake_ups.stage > 0'

/** The law: what is due is found until it is done, and what has changed meanwhile is not overwritten. */
export class WakeUpStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async write(statement: Statement): Promise<void> {
    await this.#sql.write([statement])
  }

  /** A message is there that somebody waits for; of many, the first. */
  urgent(queue: Queue, nowMs: number, { urgentMs }: Spacing): Statement {
    return {
      sql: `${VALUES} VALUES ($1, $2, $3, 1, 0, 0, $4, 0, 0, 0)
        ON CONFLICT (aci, device_id, device_created_at_ms) DO UPDATE SET
          urgent = 1, stage = 0, version = wake_ups.version + 1,
          attempts = CASE WHEN ${URGENT_HELPS} THEN 0 ELSE wake_ups.attempts END,
          due_at_ms = CASE WHEN ${URGENT_HELPS} THEN ${URGENT_FROM} ELSE wake_ups.due_at_ms END
        WHERE ${URGENT_HELPS} OR ${BEGINS_ANEW}`,
      args: [...queue.key, nowMs, urgentMs],
    }
  }

  /** A message is there that can wait: also for an urgent push, if that is due. */
  background(queue: Queue, nowMs: number, { backgroundMs }: Spacing): Statement {
    return {
      sql: `${VALUES} VALUES ($1, $2, $3, 0, 0, 0, $4, 0, 0, 0)
        ON CONFLICT (aci, device_id, device_created_at_ms) DO UPDATE SET
          urgent = 0, stage = 0, attempts = 0, due_at_ms = ${BACKGROUND_FROM}, version = wake_ups.version + 1
        WHERE wake_ups.due_at_ms IS NULL`,
      args: [...queue.key, nowMs, backgroundMs],
    }
  }

  /** The device went while something may have been left: its second push. */
  left(queue: Queue, dueAtMs: number): Statement {
    return {
      sql: `${VALUES} VALUES ($1, $2, $3, 1, 1, 0, $4, 0, 0, 0)
        ON CONFLICT (aci, device_id, device_created_at_ms) DO UPDATE SET
          urgent = 1, stage = 1, attempts = 0, due_at_ms = $4, version = wake_ups.version + 1
        WHERE wake_ups.due_at_ms IS NULL`,
      args: [...queue.key, dueAtMs],
    }
  }

  /** The device is there. */
  reading(queue: Queue): Statement {
    return {
      sql: `UPDATE wake_ups SET due_at_ms = NULL, stage = 0, attempts = 0, version = version + 1
        WHERE ${OF} AND due_at_ms IS NOT NULL`,
      args: [...queue.key],
    }
  }

  async due(nowMs: number, limit: number): Promise<WakeUp[]> {
    const rows = await this.#sql.read(
      'SELECT * FROM wake_ups WHERE due_at_ms <= $1 ORDER BY due_at_ms LIMIT $2',
      [nowMs, limit],
    )
    return rows.map(wakeUpOf)
  }

  /** When the next one is due, of all. */
  async nextDueMs(): Promise<number | undefined> {
    const [row] = await this.#sql.read(
      'SELECT due_at_ms FROM wake_ups WHERE due_at_ms IS NOT NULL ORDER BY due_at_ms LIMIT 1',
    )
    return row?.['due_at_ms'] as number | undefined
  }

  /**
   * Takes those that have not changed since they were read, and puts them off: whoever took them may not live to finish.
   * They count as sent until it is known that they were not.
   */
  async take(wakeUps: readonly WakeUp[], nowMs: number, untilMs: number): Promise<TakenWakeUp[]> {
    if (wakeUps.length === 0) return []
    const outcomes = outcomesOf(
      await this.#sql.write(
        wakeUps.map((wakeUp) => ({
          sql: `UPDATE wake_ups SET attempts = attempts + 1, due_at_ms = $5, ${sentColumn(wakeUp)} = $6,
              version = version + 1
            WHERE ${OF} AND version = $4 RETURNING *`,
          args: [...keyOf(wakeUp), wakeUp.version, untilMs, nowMs],
        })),
      ),
    )
    return wakeUps.flatMap((wakeUp, index) =>
      outcomes[index]!.rows.map((row) => ({ ...wakeUpOf(row), sentBeforeMs: wakeUp.sentAtMs })),
    )
  }

  /** Puts off what is under way still. */
  async hold(wakeUps: readonly WakeUp[], untilMs: number): Promise<void> {
    if (wakeUps.length === 0) return
    await this.#sql.write(
      wakeUps.map((wakeUp) => ({
        sql: `UPDATE wake_ups SET due_at_ms = $5 WHERE ${OF} AND version = $4`,
        args: [...keyOf(wakeUp), wakeUp.version, untilMs],
      })),
    )
  }

  /** It went out. `nextMs`: when it is due again if the device does not come. */
  async sent(wakeUp: WakeUp, nextMs: number | undefined): Promise<void> {
    await this.#sql.write([
      {
        sql: `UPDATE wake_ups SET stage = stage + 1, attempts = 0, due_at_ms = $5, version = version + 1
          WHERE ${OF} AND version = $4`,
        args: [...keyOf(wakeUp), wakeUp.version, nextMs ?? null],
      },
    ])
  }

  /** Nothing went out; it is tried again then, also if more has come meanwhile. An `untried` one counts only if it is the first. */
  async postpone(wakeUp: TakenWakeUp, dueAtMs: number, untried: boolean): Promise<void> {
    await this.#sql.write([
      this.#notSent(wakeUp),
      {
        sql: `UPDATE wake_ups SET due_at_ms = $5, attempts = $6, version = version + 1
          WHERE ${OF} AND due_at_ms = $4`,
        args: [
          ...keyOf(wakeUp),
          wakeUp.dueAtMs,
          dueAtMs,
          untried ? Math.max(1, wakeUp.attempts - 1) : wakeUp.attempts,
        ],
      },
    ])
  }

  /** It is not needed, or can't be. False if the condition does not hold: then all is as it was. */
  async drop(wakeUp: TakenWakeUp, condition?: Statement): Promise<boolean> {
    const dropping = {
      sql: `UPDATE wake_ups SET due_at_ms = NULL, stage = 0, attempts = 0, version = version + 1
        WHERE ${OF} AND version = $4`,
      args: [...keyOf(wakeUp), wakeUp.version],
    }
    // The row first: who adds a message meanwhile waits for it, or is seen by the condition.
    const written = await this.#sql.write([
      dropping,
      this.#notSent(wakeUp),
      ...(condition ? [condition] : []),
    ])
    return written.ok
  }

  #notSent(wakeUp: TakenWakeUp): Statement {
    const sent = sentColumn(wakeUp)
    return {
      sql: `UPDATE wake_ups SET ${sent} = $4 WHERE ${OF} AND ${sent} = $5`,
      args: [...keyOf(wakeUp), wakeUp.sentBeforeMs, wakeUp.sentAtMs],
    }
  }

  /** There is no such device any more, or it fetches by itself. */
  async remove(wakeUp: WakeUp): Promise<void> {
    await this.#sql.write([{ sql: `DELETE FROM wake_ups WHERE ${OF}`, args: keyOf(wakeUp) }])
  }

  /** Forgets devices of which nothing is due, and to which nothing went since then. */
  async forget(sinceMs: number): Promise<void> {
    await this.#sql.write([
      {
        sql: `DELETE FROM wake_ups
          WHERE due_at_ms IS NULL AND urgent_sent_at_ms < $1 AND background_sent_at_ms < $1`,
        args: [sinceMs],
      },
    ])
  }

  clear(aci: Aci): Statement {
    return { sql: 'DELETE FROM wake_ups WHERE aci = $1', args: [uuidToBytes(aci)] }
  }

  clearDevice(aci: Aci, deviceId: DeviceId): Statement {
    return {
      sql: 'DELETE FROM wake_ups WHERE aci = $1 AND device_id = $2',
      args: [uuidToBytes(aci), deviceId],
    }
  }
}

const sentColumn = ({ urgent }: WakeUp) => (urgent ? 'urgent_sent_at_ms' : 'background_sent_at_ms')

const keyOf = ({ aci, deviceId, deviceCreatedAtMs }: WakeUp) => [
  uuidToBytes(aci),
  deviceId,
  deviceCreatedAtMs,
]

const wakeUpOf = (row: SqlRow): WakeUp => ({
  aci: uuidFromBytes(row['aci'] as Uint8Array) as Aci,
  deviceId: row['device_id'] as DeviceId,
  deviceCreatedAtMs: row['device_created_at_ms'] as number,
  urgent: row['urgent'] === 1,
  stage: row['stage'] as number,
  attempts: row['attempts'] as number,
  dueAtMs: row['due_at_ms'] as number,
  version: row['version'] as number,
  sentAtMs: row[row['urgent'] === 1 ? 'urgent_sent_at_ms' : 'background_sent_at_ms'] as number,
})
