// A file that is in memory, or the part of it that is asked for: Safari plays no sound without.
import { rangeOf } from '../kit/ranges.ts'

type Headers = Readonly<Record<string, string>>
type Part =
  | { readonly status: 200 | 206; readonly headers: Headers; readonly body: Uint8Array }
  | { readonly status: 404 | 416; readonly headers?: Headers }

export function partial(file: Buffer | undefined, asked: string | undefined, headers: Headers): Part {
  if (!file) return { status: 404 }
  const about = { ...headers, 'Accept-Ranges': 'bytes' }
  const range = rangeOf(asked, file.length)
  if (range === undefined) return { status: 200, headers: about, body: file }
  if (range === 'unsatisfiable')
    return { status: 416, headers: { ...about, 'Content-Range': `bytes */${file.length}` } }
  const place = `bytes ${range.first}-${range.last}/${file.length}`
  return {
    status: 206,
    headers: { ...about, 'Content-Range': place },
    body: file.subarray(range.first, range.last + 1),
  }
}
