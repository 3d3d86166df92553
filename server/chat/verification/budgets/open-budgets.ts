import type { Config } from '../../../kit/config.ts'
import { Budgets, type BudgetsOptions } from './budgets.ts'

type BudgetsConfig = Pick<Config, 'registration' | 'codes' | 'codeBreaker'>

/** Budgets are there once a code costs money, unless the operator does without: then it is said at each start. */
export function openBudgets(
  { registration: { budgets, senders }, codes, codeBreaker }: BudgetsConfig,
  options: Omit<BudgetsOptions, 'codes' | 'codeBreaker'>,
): Budgets | undefined {
  const isPaid = senders.some((sender) => sender !== 'console')
  if (budgets === 'off' && isPaid) options.events.budgetsOff()
  return (budgets ?? (isPaid ? 'on' : 'off')) === 'on'
    ? new Budgets({ ...options, codes, codeBreaker })
    : undefined
}
