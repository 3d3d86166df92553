// `$1` parameters as SQLite wants them: anonymous, in the order of their appearance.

const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\$(\d+)/g

/** `order[i]` is the index of the argument that the i-th `?` stands for. */
export function anonymous(sql: string): { readonly text: string; readonly order: readonly number[] } {
  const order: number[] = []
  const text = sql.replace(TOKEN, (token, number?: string) => {
    if (number === undefined) return token
    order.push(Number(number) - 1)
    return '?'
  })
  return { text, order }
}

const LITERAL = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*/g

/** Whether a statement answers with rows, so that its number of changes is their number. */
export function answersRows(sql: string): boolean {
  const words = sql.replace(LITERAL, '').trimStart()
  if (/\bRETURNING\b/i.test(words)) return true
  if (/^(SELECT|VALUES|PRAGMA|EXPLAIN)\b/i.test(words)) return true
  return /^WITH\b/i.test(words) && !/\b(INSERT|UPDATE|DELETE)\b/i.test(words)
}
