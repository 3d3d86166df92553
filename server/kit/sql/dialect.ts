// What SQLite must know about a statement that is written for both engines.

const LITERAL = String.raw`'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*[^]*?\*/`
const LITERALS = new RegExp(LITERAL, 'g')
const TOKENS = new RegExp(String.raw`${LITERAL}|\$(\d+)`, 'g')

/** SQLite's `?` for `$1`: `order[i]` is the index of the argument that the i-th `?` stands for. */
export function anonymous(sql: string): { readonly text: string; readonly order: readonly number[] } {
  const order: number[] = []
  const text = sql.replace(TOKENS, (token, number?: string) => {
    if (number === undefined) return token
    order.push(Number(number) - 1)
    return '?'
  })
  return { text, order }
}

/** Whether a statement answers with rows, so that its number of changes is their number. */
export function answersRows(sql: string): boolean {
  const words = sql.replace(LITERALS, '').trimStart()
  if (/\bRETURNING\b/i.test(words)) return true
  if (/^(SELECT|VALUES|PRAGMA|EXPLAIN)\b/i.test(words)) return true
  return /^WITH\b/i.test(words) && !/\b(INSERT|UPDATE|DELETE)\b/i.test(words)
}

/** SQLite would run the first of several statements and silently drop the others. */
export const isSeveral = (sql: string): boolean => /;\s*[^\s;]/.test(sql.replace(LITERALS, ''))
