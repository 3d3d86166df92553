// The Content-Range of a resumable upload (RFC 9110 §14.4, and Google's `bytes */N`, which asks how far it is).

export type ContentRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'question'; readonly totalBytes: number }
  | {
      readonly kind: 'part'
      readonly firstByte: number
      readonly bytes: number
      /** Not said before the last part, if the client does not know. */
      readonly totalBytes: number | undefined
    }

/** Undefined if it is no range that can be. */
export function contentRangeOf(header: string | undefined): ContentRange | undefined {
  if (header === undefined) return { kind: 'whole' }
  const question = /^bytes \*\/(\d{1,15})$/.exec(header)
  if (question) return { kind: 'question', totalBytes: Number(question[1]) }
  const part = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header)
  if (!part) return undefined
  const [firstByte, lastByte] = [Number(part[1]), Number(part[2])]
  const totalBytes = part[3] === '*' ? undefined : Number(part[3])
  if (lastByte < firstByte || lastByte >= (totalBytes ?? Number.POSITIVE_INFINITY)) return undefined
  return { kind: 'part', firstByte, bytes: lastByte - firstByte + 1, totalBytes }
}
