import type { SqlValue } from './sql.ts'

/** A copy that later changes of the bytes do not reach. Throws a TypeError for what is no `SqlValue`. */
export function capture(args: readonly SqlValue[]): SqlValue[] {
  return args.map((value) => {
    if (!isSqlValue(value)) throw badArgument(value)
    return value instanceof Uint8Array ? Buffer.from(value) : value
  })
}

export const badArgument = (value: unknown): TypeError =>
  new TypeError(
    typeof value === 'number'
      ? 'a number among the arguments of a statement is not finite'
      : `the arguments of a statement cannot contain ${typeof value}`,
  )

export function isSqlValue(value: unknown): value is SqlValue {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'string' || value === null || value instanceof Uint8Array
}
