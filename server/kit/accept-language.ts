// Reads `Accept-Language` (RFC 9110 §12.5.4).

const MAX_RANGES = 16
/** A language range with subtags, as BCP 47 writes tags; `*` names no language. */
const RANGE = /^\s*([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?$/

/** The languages that a client wants, the preferred first; of equals the one named first. What is no language is left out. */
export function preferredLanguages(header: string | undefined): string[] {
  return (header ?? '')
    .split(',', MAX_RANGES)
    .flatMap((range) => {
      const match = RANGE.exec(range)
      return match ? [{ tag: match[1]!, quality: Number(match[2] ?? 1) }] : []
    })
    .filter(({ quality }) => quality > 0)
    .sort((one, other) => other.quality - one.quality)
    .map(({ tag }) => tag)
}
