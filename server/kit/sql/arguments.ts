import type { SqlValue } from './sql.ts'

/** Throws a TypeError for what one engine would store otherwise than the other, or not at all. */
export function checkArguments(args: readonly SqlValue[]): void {
  for (const value of args) if (!isSqlValue(value)) throw badArgument(value)
}

export const badArgument = (value: unknown): TypeError =>
  new TypeError(
    typeof value === 'number'
      ? 'a number among the arguments of a statement is not finite'
      : `the arguments of a statement cannot contain ${typeof value}`,
  )

function isSqlValue(value: SqlValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'string' || value === null || value instanceof Uint8Array
}
