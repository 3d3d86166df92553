// An upload by TUS 1.0.0, as a client does it that has a form: created, sent, asked about, resumed.
import type { Ready } from '../../server/up.ts'
import { Line } from './line.ts'
import type { HttpVersion } from './net.ts'

export type Form = {
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly location: string
}

/** The form that libsignal gives its clients. */
export const formOf = (form: {
  readonly key: string
  readonly headers: Iterable<readonly [string, string]>
  readonly signedUploadUrl: URL
}): Form => ({
  key: form.key,
  headers: Object.fromEntries(form.headers),
  location: form.signedUploadUrl.href,
})

export type TusAnswer = { readonly status: number; readonly headers: Readonly<Record<string, string>> }
export type Body = Iterable<Uint8Array> | AsyncIterable<Uint8Array>
type Extra = Readonly<Record<string, string>>

const CHUNK = { 'content-type': 'application/offset+octet-stream' }

export class TusClient {
  readonly #line: Line
  readonly #form: Form

  constructor(ready: Ready, httpVersion: HttpVersion, form: Form) {
    this.#line = new Line(ready, httpVersion)
    this.#form = form
  }

  /** Where the upload is, once it was created. */
  location = ''

  async create(extra: Extra, body: Body = []): Promise<TusAnswer> {
    const answer = await this.#ask('POST', this.#form.location, extra, body)
    this.location = answer.headers['location'] ?? this.location
    return answer
  }

  createWith(bytes: Uint8Array): Promise<TusAnswer> {
    return this.create({ 'upload-length': String(bytes.length), ...CHUNK }, [bytes])
  }

  tell(extra: Extra = {}): Promise<TusAnswer> {
    return this.#ask('HEAD', this.location, extra)
  }

  /** Bytes that the server says it has. */
  async offset(): Promise<number> {
    return Number((await this.tell()).headers['upload-offset'])
  }

  append(offset: number, body: Body, extra: Extra = {}): Promise<TusAnswer> {
    return this.#ask('PATCH', this.location, { 'upload-offset': String(offset), ...CHUNK, ...extra }, body)
  }

  /** Begins to send everything from `offset` on, and loses the line after so many bytes. */
  async lose(offset: number, bytes: Uint8Array, after: number): Promise<void> {
    const headers = {
      ...this.#headers({ 'upload-offset': String(offset), ...CHUNK }),
      'content-length': String(bytes.length),
    }
    const sending = { method: 'PATCH', url: new URL(this.location), headers }
    await this.#line.breakOff(sending, bytes.subarray(0, after))
  }

  async #ask(method: string, location: string, extra: Extra, body: Body = []): Promise<TusAnswer> {
    const sending = { method, url: new URL(location), headers: this.#headers(extra) }
    const { status, headers, body: answer } = await this.#line.send(sending, body)
    for await (const _ of answer);
    return { status, headers: headers as Record<string, string> }
  }

  #headers(extra: Extra): Record<string, string> {
    const own = Object.entries(this.#form.headers).map(([name, value]) => [name.toLowerCase(), value])
    return { ...Object.fromEntries(own), 'tus-resumable': '1.0.0', ...extra }
  }
}
