// Every way into the file store, permitted by the secrets of a data folder: for servers that are not asked for forms.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { systemClock } from '../../server/kit/clock.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { PostPolicy } from '../../server/kit/post-policy.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Line, type Sending, type Told } from '../client/line.ts'
import type { HttpVersion } from '../client/net.ts'
import type { Body } from '../client/tus.ts'
import type { ServerProcess } from '../server-process.ts'
import { FORM_TYPE, formEnd, formFields, formHead } from './post-form.ts'

export const DOORS = ['tus', 'google', 's3', 'plain'] as const
export type Door = (typeof DOORS)[number]

export type Permitted = {
  /** `attachments/…`, or `profiles/…` by S3's form. */
  readonly key: string
  /** What is answered when all of it is there. */
  readonly doneStatus: number
  /** The whole file from its beginning; gives the status. */
  send(body: Body): Promise<number>
  /** Bytes that are kept of a file that is not whole, where it can be gone on with; undefined where it cannot. */
  offset?(): Promise<number | undefined>
  /** The rest, from where it is. */
  resume?(offset: number, body: Body): Promise<number>
}

type Exchange = { readonly status: number; readonly headers: Told['headers'] }

export class Doors {
  readonly #server: ServerProcess
  readonly #line: Line
  readonly #secrets: Awaited<ReturnType<typeof openSecrets>>

  constructor(server: ServerProcess, line: Line, secrets: Awaited<ReturnType<typeof openSecrets>>) {
    this.#server = server
    this.#line = line
    this.#secrets = secrets
  }

  /** A new object of so many bytes at most. Google's way is opened by this, the others by their first byte. */
  async permit(door: Door, maxBytes: number): Promise<Permitted> {
    const name = randomBytes(15).toString('base64url')
    if (door === 'tus') return this.#tus(name, maxBytes)
    if (door === 'google') return this.#google(name, maxBytes)
    return door === 's3' ? this.#s3(name, maxBytes) : this.#plain(name, maxBytes)
  }

  download(key: string): Promise<Told> {
    return this.#line.send({ method: 'GET', url: this.#url(`/cdn3/${key}`), headers: {} }, [])
  }

  async #tus(name: string, maxBytes: number): Promise<Permitted> {
    const signatures = new UploadSignatures(this.#secrets.uploads, systemClock)
    const token = signatures.token({ audience: 'attachments', subject: name, maxBytes })
    const headers = { authorization: `Bearer ${token}`, 'tus-resumable': '1.0.0' }
    const chunk = { ...headers, 'content-type': 'application/offset+octet-stream' }
    const created = {
      'upload-length': String(maxBytes),
      'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
    }
    const to = `/cdn3/upload/attachments/${name}`
    const resume = async (offset: number, body: Body) =>
      (await this.#ask('PATCH', to, { ...chunk, 'upload-offset': String(offset) }, body)).status
    return {
      key: `attachments/${name}`,
      doneStatus: 204,
      send: async (body) => {
        const { status } = await this.#ask('POST', '/cdn3/upload/attachments', { ...headers, ...created })
        return status === 201 ? resume(0, body) : status
      },
      offset: async () => {
        const { status, headers: told } = await this.#ask('HEAD', to, headers)
        return status === 200 ? Number(told['upload-offset']) : undefined
      },
      resume,
    }
  }

  async #google(name: string, maxBytes: number): Promise<Permitted> {
    const signatures = new UploadSignatures(this.#secrets.uploads, systemClock)
    const path = `/attachments/${name}`
    const query = signatures.addressQuery({ method: 'POST', path, maxBytes })
    const opening = { 'x-goog-resumable': 'start', 'x-goog-content-length-range': `1,${maxBytes}` }
    const opened = await this.#ask('POST', `/cdn2${path}?${query}`, opening)
    if (opened.status !== 201) throw new Error(`not opened: ${opened.status}`)
    const { pathname, search } = new URL(opened.headers['location']!)
    const put = (headers: Record<string, string>, body?: Body) =>
      this.#ask('PUT', pathname + search, headers, body)
    return {
      key: `attachments/${name}`,
      doneStatus: 200,
      send: async (body) => (await put({}, body)).status,
      offset: async () => {
        const { status, headers } = await put({ 'content-range': `bytes */${maxBytes}` })
        if (status === 200) return maxBytes
        if (status !== 308) return undefined
        return headers['range'] === undefined ? 0 : Number(headers['range'].split('-')[1]) + 1
      },
      resume: async (offset, body) => {
        const range = `bytes ${offset}-${maxBytes - 1}/${maxBytes}`
        return (await put({ 'content-range': range }, body)).status
      },
    }
  }

  async #s3(name: string, maxBytes: number): Promise<Permitted> {
    const key = `profiles/${name}`
    const fields = formFields(new PostPolicy(this.#secrets.uploads, systemClock).formFor(key, { maxBytes }))
    async function* form(body: Body) {
      yield formHead(fields)
      yield* body
      yield formEnd
    }
    return {
      key,
      doneStatus: 204,
      send: async (body) => (await this.#ask('POST', '/cdn0/', FORM_TYPE, form(body))).status,
    }
  }

  async #plain(name: string, maxBytes: number): Promise<Permitted> {
    const nowMs = systemClock.nowMs()
    const key = plainKey(this.#secrets.uploads.signing(nowMs).bearerKey)
    const address = plainAddress(key, { name, maxBytes, expiresAtS: Math.floor(nowMs / 1000) + 3600 })
    return {
      key: `attachments/${name}`,
      doneStatus: 201,
      send: async (body) => (await this.#ask('PUT', address, {}, body)).status,
    }
  }

  #url(target: string): URL {
    return new URL(target, this.#server.ready.urls.cdn3)
  }

  async #ask(
    method: string,
    target: string,
    headers: Sending['headers'],
    sent: Body = [],
  ): Promise<Exchange> {
    const {
      status,
      headers: told,
      body,
    } = await this.#line.send({ method, url: this.#url(target), headers }, sent)
    for await (const _ of body);
    return { status, headers: told }
  }
}

export const doorsOf = async (server: ServerProcess, httpVersion: HttpVersion): Promise<Doors> =>
  new Doors(server, new Line(server.ready, httpVersion), await openSecrets(join(server.data, 'secrets')))
