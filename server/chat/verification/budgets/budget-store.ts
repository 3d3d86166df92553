// What was spent, and which prefixes are closed. Every change says in its SQL what it relies on: no two codes at once
// can both be the last.
import { outcomesOf, type Sql, type SqlRow, type Statement } from '../../../kit/sql/sql.ts'
import type { Transport } from '../senders/sender.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000
/** Codes that were sent within the same five minutes are judged together. */
export const COHORT_MS = 300_000

/** Whose budget it is, and how many codes it has for an hour and for a day. A window begins with its first code. */
export type Budget = { readonly key: string; readonly hour: number; readonly day: number }

export type BreakerRule = {
  readonly sample: number
  readonly percent: number
  readonly graceMs: number
  readonly windowMs: number
  readonly pauseMs: number
  readonly trials: number
}
/** What is opened and closed as one. */
export type Breaker = { readonly prefix: string; readonly transport: Transport; readonly rule: BreakerRule }

const cohortOf = (ms: number) => Math.floor(ms / COHORT_MS) * COHORT_MS

export class BudgetStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Takes one code of a budget; unmet if it has none left. */
  taking({ key, hour, day }: Budget, nowMs: number): Statement {
    // A window that ends later than it could have begun is from before the clock was set back.
    const over = (window: string, length: string) =>
      `(code_budgets.${window} <= $2 OR code_budgets.${window} > ${length})`
    const [hourOver, dayOver] = [over('hour_ends_at_ms', '$3'), over('day_ends_at_ms', '$4')]
    return {
      sql: `INSERT INTO code_budgets (key, hour_ends_at_ms, hour_count, day_ends_at_ms, day_count)
            VALUES ($1, $3, 1, $4, 1)
            ON CONFLICT (key) DO UPDATE SET
              hour_count = CASE WHEN ${hourOver} THEN 1 ELSE code_budgets.hour_count + 1 END,
              hour_ends_at_ms = CASE WHEN ${hourOver} THEN $3 ELSE code_budgets.hour_ends_at_ms END,
              day_count = CASE WHEN ${dayOver} THEN 1 ELSE code_budgets.day_count + 1 END,
              day_ends_at_ms = CASE WHEN ${dayOver} THEN $4 ELSE code_budgets.day_ends_at_ms END
            WHERE (${hourOver} OR code_budgets.hour_count < $5) AND (${dayOver} OR code_budgets.day_count < $6)`,
      args: [key, nowMs, nowMs + HOUR_MS, nowMs + DAY_MS, hour, day],
      must: 1,
    }
  }

  /** When a budget that is used up has codes again. */
  async endsAtMs({ key, hour, day }: Budget): Promise<number> {
    const [row] = await this.#sql.read('SELECT * FROM code_budgets WHERE key = $1', [key])
    const hourEnds = number(row, 'hour_count') >= hour ? number(row, 'hour_ends_at_ms') : 0
    const dayEnds = number(row, 'day_count') >= day ? number(row, 'day_ends_at_ms') : 0
    return Math.max(hourEnds, dayEnds)
  }

  /** Lets one code pass and counts it; unmet while it is closed, or has no trial left. */
  passing({ prefix, transport, rule }: Breaker, nowMs: number): Statement[] {
    return [
      {
        sql: `INSERT INTO code_breakers
                (prefix, transport, closed_until_ms, pause_ms, counted_from_ms, trials, last_code_at_ms)
              VALUES ($1, $2, 0, $3, 0, 0, $4)
              ON CONFLICT (prefix, transport) DO UPDATE SET
                trials = code_breakers.trials + CASE WHEN code_breakers.closed_until_ms > 0 THEN 1 ELSE 0 END,
                last_code_at_ms = $4
              WHERE code_breakers.closed_until_ms = 0
                OR (code_breakers.closed_until_ms <= $4 AND code_breakers.trials < $5)`,
        args: [prefix, transport, rule.pauseMs, nowMs, rule.trials],
        must: 1,
      },
      {
        sql: `INSERT INTO code_cohorts (prefix, transport, cohort_ms, sent, entered) VALUES ($1, $2, $3, 1, 0)
              ON CONFLICT (prefix, transport, cohort_ms) DO UPDATE SET sent = code_cohorts.sent + 1`,
        args: [prefix, transport, cohortOf(nowMs)],
        must: 1,
      },
    ]
  }

  /** Closes what is open and whose codes were not entered, and again what had its trials in vain. True for each that was closed. */
  async closeIdle(breakers: readonly Breaker[], nowMs: number): Promise<boolean[]> {
    const written = await this.#sql.write(breakers.flatMap((breaker) => closing(breaker, nowMs)))
    const changes = outcomesOf(written).map((outcome) => outcome.changes)
    return breakers.map((_, at) => changes[2 * at]! + changes[2 * at + 1]! > 0)
  }

  /** Until when each is closed; 0 if it is open, a time that is past if it has trials. */
  async closedUntilMs({ prefix, transport }: Breaker): Promise<number> {
    const [row] = await this.#sql.read(
      'SELECT closed_until_ms FROM code_breakers WHERE prefix = $1 AND transport = $2',
      [prefix, transport],
    )
    return number(row, 'closed_until_ms')
  }

  /** Takes back a code that was not sent after all: nobody could enter it. What it cost its budgets stays spent. */
  async notSent(breakers: readonly Breaker[], sentAtMs: number): Promise<void> {
    await this.#sql.write(
      breakers.flatMap(({ prefix, transport }) => [
        {
          sql: `UPDATE code_cohorts SET sent = sent - 1
                WHERE prefix = $1 AND transport = $2 AND cohort_ms = $3 AND sent > entered`,
          args: [prefix, transport, cohortOf(sentAtMs)],
        },
        {
          sql: `UPDATE code_breakers SET trials = trials - 1
                WHERE prefix = $1 AND transport = $2 AND closed_until_ms > 0 AND closed_until_ms <= $3 AND trials > 0`,
          args: [prefix, transport, sentAtMs],
        },
      ]),
    )
  }

  /** Counts a code that was entered; true for each breaker that it opened. */
  async noteEntered(breakers: readonly Breaker[], sentAtMs: number, nowMs: number): Promise<boolean[]> {
    const written = await this.#sql.write(breakers.flatMap((breaker) => entering(breaker, sentAtMs, nowMs)))
    const outcomes = outcomesOf(written)
    return breakers.map((_, at) => outcomes[2 * at + 1]!.changes > 0)
  }

  /** Forgets what is over: budgets after their day, prefixes after a week without a code. */
  async expire(nowMs: number, windowMs: number): Promise<void> {
    await this.#sql.write([
      { sql: 'DELETE FROM code_budgets WHERE day_ends_at_ms <= $1', args: [nowMs] },
      { sql: 'DELETE FROM code_cohorts WHERE cohort_ms < $1', args: [nowMs - windowMs - COHORT_MS] },
      {
        sql: 'DELETE FROM code_breakers WHERE last_code_at_ms < $1 AND closed_until_ms < $1',
        args: [nowMs - 7 * DAY_MS],
      },
    ])
  }
}

function closing({ prefix, transport, rule }: Breaker, nowMs: number): Statement[] {
  const { sample, percent, graceMs, windowMs, pauseMs, trials } = rule
  const judged = `(SELECT CASE WHEN SUM(sent) >= $4 AND SUM(entered) * 100 < SUM(sent) * $5 THEN 1 ELSE 0 END
    FROM code_cohorts WHERE prefix = $1 AND transport = $2 AND cohort_ms > $6 AND cohort_ms <= $7
      AND cohort_ms >= code_breakers.counted_from_ms)`
  return [
    {
      sql: `UPDATE code_breakers SET closed_until_ms = $3, counted_from_ms = $8, trials = 0
            WHERE prefix = $1 AND transport = $2 AND closed_until_ms = 0 AND ${judged} = 1`,
      args: [
        ...[prefix, transport, nowMs + pauseMs, sample, percent],
        ...[nowMs - windowMs, nowMs - graceMs - COHORT_MS, nowMs],
      ],
    },
    {
      sql: `UPDATE code_breakers SET closed_until_ms = $3 + ${doubled}, counted_from_ms = $3, pause_ms = ${doubled}, trials = 0
            WHERE prefix = $1 AND transport = $2 AND closed_until_ms > 0 AND closed_until_ms <= $3 AND trials >= $4
              AND last_code_at_ms <= $5`,
      args: [prefix, transport, nowMs, trials, nowMs - graceMs],
    },
  ]
}

/** A pause is a day at most. */
const doubled = `CASE WHEN pause_ms * 2 > ${DAY_MS} THEN ${DAY_MS} ELSE pause_ms * 2 END`

function entering({ prefix, transport, rule }: Breaker, sentAtMs: number, nowMs: number): Statement[] {
  const half = Math.ceil(rule.trials / 2)
  return [
    {
      sql: `UPDATE code_cohorts SET entered = entered + 1
            WHERE prefix = $1 AND transport = $2 AND cohort_ms = $3 AND entered < sent`,
      args: [prefix, transport, cohortOf(sentAtMs)],
    },
    {
      sql: `UPDATE code_breakers SET closed_until_ms = 0, counted_from_ms = $3, pause_ms = $4, trials = 0
            WHERE prefix = $1 AND transport = $2 AND closed_until_ms > 0 AND closed_until_ms <= $3
              AND $5 <= (SELECT SUM(entered) FROM code_cohorts WHERE prefix = $1 AND transport = $2
                AND cohort_ms >= code_breakers.counted_from_ms)`,
      args: [prefix, transport, nowMs, rule.pauseMs, half],
    },
  ]
}

const number = (row: SqlRow | undefined, column: string): number => (row?.[column] ?? 0) as number
