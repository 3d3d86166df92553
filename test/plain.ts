/** A value as it reads: bytes as hex, whatever class holds them, and sets in order. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  if (value instanceof Set) return [...value].sort()
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const known = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(known.map(([name, field]) => [name, plain(field)]))
}
