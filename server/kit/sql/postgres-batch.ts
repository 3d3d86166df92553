// Applies lists in one transaction and, if one of them must be undone, each in a transaction of its own.

import { asFailure, isWorthRetrying, type PostgresSession } from './postgres-session.ts'
import type { Outcome, Statement, Written } from './sql.ts'
import type { StatementError, StorageError } from './storage-error.ts'

export type Answer = Written | StatementError | StorageError
type Judgement = { readonly answer: Answer; readonly isUndone: boolean; readonly isRetryable: boolean }

const MAX_ATTEMPTS = 5

/** Never rejects: what cannot be stored is answered with its error. */
export async function applyBatch(
  session: PostgresSession,
  lists: readonly (readonly Statement[])[],
): Promise<Answer[]> {
  try {
    const answers = await together(session, lists)
    if (answers) return answers
  } catch (error) {
    return lists.map(() => asFailure(error))
  }
  const answers: Answer[] = []
  for (const list of lists) answers.push(await alone(session, list))
  return answers
}

/** Nothing, if a list must be undone: then all were. */
async function together(
  session: PostgresSession,
  lists: readonly (readonly Statement[])[],
): Promise<Answer[] | undefined> {
  if (lists.length === 1) return undefined
  const judgements = await attempt(session, lists)
  const isUndone = judgements.some((judgement) => judgement.isUndone)
  return isUndone ? undefined : judgements.map(({ answer }) => answer)
}

async function alone(session: PostgresSession, list: readonly Statement[]): Promise<Answer> {
  for (let left = MAX_ATTEMPTS; ; left--) {
    try {
      const [judgement] = await attempt(session, [list])
      if (!judgement!.isRetryable || left === 1) return judgement!.answer
    } catch (error) {
      return asFailure(error)
    }
  }
}

/** Commits unless a list must be undone; then undoes all. Rejects if the outcome is unknown. */
async function attempt(
  session: PostgresSession,
  lists: readonly (readonly Statement[])[],
): Promise<Judgement[]> {
  const [[begun], ...settled] = await Promise.all([
    Promise.allSettled([session.begin()]),
    ...lists.map((list) => Promise.allSettled(list.map((statement) => session.run(statement)))),
  ])
  if (begun.status === 'rejected') throw begun.reason
  const judgements = settled.map((outcomes, at) => judge(lists[at]!, outcomes))
  await (judgements.some(({ isUndone }) => isUndone) ? session.rollback() : session.commit())
  return judgements
}

function judge(list: readonly Statement[], settled: readonly PromiseSettledResult<Outcome>[]): Judgement {
  const outcomes: Outcome[] = []
  for (const result of settled) {
    if (result.status === 'fulfilled') outcomes.push(result.value)
    else
      return { answer: asFailure(result.reason), isUndone: true, isRetryable: isWorthRetrying(result.reason) }
  }
  const unmet = list.findIndex(({ must }, at) => must !== undefined && outcomes[at]!.changes !== must)
  if (unmet === -1) return { answer: { ok: true, outcomes }, isUndone: false, isRetryable: false }
  const hasChanged = outcomes.some(({ changes }) => changes > 0)
  return { answer: { ok: false, unmet }, isUndone: hasChanged, isRetryable: false }
}
