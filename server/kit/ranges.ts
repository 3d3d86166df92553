// RFC 9110 §14: one range of bytes. Of several, the whole is sent, as every server may.

/** Both ends are in it. */
export type Range = { readonly first: number; readonly last: number }

/** The range that is asked for; nothing where the whole is to be sent. */
export function rangeOf(header: string | undefined, length: number): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  const last = length - 1
  if (match[1] === '') {
    const count = Math.min(Number(match[2]), length)
    return count > 0 ? { first: length - count, last } : 'unsatisfiable'
  }
  const range = { first: Number(match[1]), last: match[2] === '' ? last : Math.min(Number(match[2]), last) }
  // One that ends before it begins may be ignored or refused (§14.2): refused, as nginx does.
  return range.first > range.last ? 'unsatisfiable' : range
}
