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

/** The first statement that went wrong decides, as if those after it had not been sent. */
function judge(list: readonly Statement[], settled: readonly PromiseSettledResult<Outcome>[]): Judgement {
  const outcomes: Outcome[] = []
  for (const [at, result] of settled.entries()) {
    if (result.status === 'rejected') return faulty(result.reason)
    const { must } = list[at]!
    if (must !== undefined && result.value.changes !== must) return unmet(at, settled)
    outcomes.push(result.value)
  }
  return { answer: { ok: true, outcomes }, isUndone: false, isRetryable: false }
}

const faulty = (reason: unknown): Judgement => ({
  answer: asFailure(reason),
  isUndone: true,
  isRetryable: isWorthRetrying(reason),
})

function unmet(at: number, settled: readonly PromiseSettledResult<Outcome>[]): Judgement {
  const isClean = settled.every((result) => result.status === 'fulfilled' && result.value.changes === 0)
  return { answer: { ok: false, unmet: at }, isUndone: !isClean, isRetryable: false }
}
