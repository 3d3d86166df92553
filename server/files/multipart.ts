// A form with one file, as it arrives (RFC 7578, RFC 2046 §5.1.1): the fields first, then the file, then nothing more.
// Strict and bounded: no preamble, no padding, no field twice. Never holds more than a chunk of the file.

export const MAX_FIELDS = 32
export const MAX_FIELD_BYTES = 16 * 1024
const MAX_PART_HEADER_BYTES = 2 * 1024
/** The bytes that may follow the last delimiter. */
const EPILOGUE = '\r\n'

/** What came is not such a form; or it broke off. */
export class MultipartError extends Error {}

export type PostedForm = {
  readonly fields: ReadonlyMap<string, string>
  /** To be read once. Throws `MultipartError` at its end if the form does not end there: only then is the file whole. */
  readonly file: AsyncIterable<Uint8Array>
}

/** The boundary that a content type names. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match =
    /^multipart\/form-data\s*;\s*boundary=(?:"([0-9A-Za-z'()+_,./:=?-]{1,70})"|([0-9A-Za-z'+_.-]{1,70}))$/i.exec(
      contentType ?? '',
    )
  return match?.[1] ?? match?.[2]
}

/** Reads the fields before the part named `file`. */
export async function readForm(source: AsyncIterable<Uint8Array>, boundary: string): Promise<PostedForm> {
  const reader = new Reader(source)
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  await reader.until(delimiter, 0)
  const fields = new Map<string, string>()
  while (await beginsPart(reader)) {
    const name = nameOf(await reader.until(Buffer.from('\r\n\r\n'), MAX_PART_HEADER_BYTES))
    if (name === 'file') return { fields, file: fileOf(reader, delimiter) }
    if (fields.has(name)) throw new MultipartError('a field comes twice')
    if (fields.size === MAX_FIELDS) throw new MultipartError('too many fields')
    fields.set(name, textOf(await reader.until(delimiter, MAX_FIELD_BYTES)))
  }
  throw new MultipartError('there is no file')
}

/** After a delimiter: another part, or the end. */
async function beginsPart(reader: Reader): Promise<boolean> {
  const next = await reader.take(2)
  if (next !== '\r\n' && next !== '--') throw new MultipartError('a delimiter goes on')
  return next === '\r\n'
}

async function* fileOf(reader: Reader, delimiter: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  yield* reader.streamUntil(delimiter)
  if (await beginsPart(reader)) throw new MultipartError('something follows the file')
  if (!EPILOGUE.startsWith(await reader.rest(EPILOGUE.length)))
    throw new MultipartError('something follows the form')
}

/** `Content-Disposition: form-data; name="…"`; what the other headers say changes nothing, save an encoding. */
function nameOf(head: Buffer): string {
  const headers = textOf(head).split('\r\n')
  const headerOf = (name: string) => {
    const values = headers.filter((line) => line.toLowerCase().startsWith(`${name}:`))
    if (values.length > 1) throw new MultipartError('a header comes twice')
    return values[0]?.slice(name.length + 1).trim()
  }
  if (!headers.every((line) => /^[\w-]+:[^\r\n\0]*$/.test(line))) throw new MultipartError('no header')
  if (!/^(?:binary|8bit|7bit)?$/i.test(headerOf('content-transfer-encoding') ?? ''))
    throw new MultipartError('the part is encoded')
  const disposition = headerOf('content-disposition') ?? ''
  const match = /^form-data; ?name="([\w$-]{1,64})"(?:; ?filename\*?=(?:"[^"]*"|[^\s";]+))*$/i.exec(
    disposition,
  )
  if (!match) throw new MultipartError('the part has no name')
  return match[1]!
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new MultipartError('no text')
  }
}

/** The bytes as if a line had ended before them: then every delimiter begins with the end of a line. */
class Reader {
  readonly #source: AsyncIterator<Uint8Array>
  #bytes: Buffer = Buffer.from('\r\n')

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** What comes before `mark`, which is skipped. */
  async until(mark: Buffer, maxBytes: number): Promise<Buffer> {
    let searched = 0
    for (;;) {
      const at = this.#bytes.indexOf(mark, searched)
      const length = at < 0 ? this.#bytes.length - mark.length + 1 : at
      if (length > maxBytes) throw new MultipartError('too long')
      if (at >= 0) return this.#shift(at, mark.length)
      searched = Math.max(0, length)
      await this.#more()
    }
  }

  /** The same in pieces, however long it is. */
  async *streamUntil(mark: Buffer): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const at = this.#bytes.indexOf(mark)
      const sure = at < 0 ? this.#bytes.length - mark.length + 1 : at
      if (sure > 0) yield this.#shift(sure, 0)
      if (at >= 0) {
        this.#shift(0, mark.length)
        return
      }
      await this.#more()
    }
  }

  async take(count: number): Promise<string> {
    while (this.#bytes.length < count) await this.#more()
    return this.#shift(count, 0).toString('latin1')
  }

  /** Everything to the end, if it is no longer than that. */
  async rest(maxBytes: number): Promise<string> {
    while (await this.#pull()) {
      if (this.#bytes.length > maxBytes) throw new MultipartError('something follows the form')
    }
    return this.#bytes.toString('latin1')
  }

  #shift(count: number, skipped: number): Buffer {
    const taken = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count + skipped)
    return taken
  }

  async #more(): Promise<void> {
    if (!(await this.#pull())) throw new MultipartError('the form breaks off')
  }

  /** By hand: to leave a loop over a request would close it before it is answered. */
  async #pull(): Promise<boolean> {
    const next = await this.#source.next()
    if (next.done) return false
    const { buffer, byteOffset, length } = next.value
    const chunk = Buffer.from(buffer, byteOffset, length)
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    return true
  }
}
