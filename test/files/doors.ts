// Every way into the file store, permitted by the secrets of a data folder: for servers that are not asked for forms.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { systemClock } from '../../server/kit/clock.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { PostPolicy } from '../../server/kit/post-policy.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import type { UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import type { Ready } from '../../server/up.ts'
import { Line, type Sending, type Told } from '../client/line.ts'
import type { HttpVersion } from '../client/net.ts'
import type { Body } from '../client/tus.ts'
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
  /** Where an upload can be gone on with. */
  readonly parts?: Parts
}

export type Parts = {
  /** The bytes that are there. */
  offset(): Promise<number>
  /** Gives the offset that is told afterwards. */
  append(offset: number, part: Buffer): Promise<number>
}

/** A file store that runs. */
export type FilesServer = {
  readonly ready: { readonly urls: { readonly cdn3: string }; readonly tls: Ready['tls'] }
}

type Exchange = { readonly status: number; readonly headers: Told['headers'] }

const expect = (wanted: number, { status, headers }: Exchange): Told['headers'] => {
  assert.equal(status, wanted)
  return headers
}
const offsetOf = (headers: Told['headers']): number => Number(headers['upload-offset'])

export class Doors {
  readonly #server: FilesServer
  readonly #line: Line
  readonly #keys: UploadKeyRing

  constructor(server: FilesServer, line: Line, keys: UploadKeyRing) {
    this.#server = server
    this.#line = line
    this.#keys = keys
  }

  /** A new object of so many bytes. What can be gone on with is opened. */
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
    const signatures = new UploadSignatures(this.#keys, systemClock)
    const token = signatures.token({ audience: 'attachments', subject: name, maxBytes })
    const headers = { authorization: `Bearer ${token}`, 'tus-resumable': '1.0.0' }
    const chunk = { ...headers, 'content-type': 'application/offset+octet-stream' }
    const created = {
      'upload-length': String(maxBytes),
      'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
    }
    const to = `/cdn3/upload/attachments/${name}`
    expect(201, await this.#ask('POST', '/cdn3/upload/attachments', { ...headers, ...created }))
    const patch = (offset: number, body: Body) =>
      this.#ask('PATCH', to, { ...chunk, 'upload-offset': String(offset) }, body)
    return {
      key: `attachments/${name}`,
      doneStatus: 204,
      send: async (body) => (await patch(0, body)).status,
      parts: {
        offset: async () => offsetOf(expect(200, await this.#ask('HEAD', to, headers))),
        append: async (offset, part) => offsetOf(expect(204, await patch(offset, [part]))),
      },
    }
  }

  async #google(name: string, maxBytes: number): Promise<Permitted> {
    const signatures = new UploadSignatures(this.#keys, systemClock)
    const path = `/attachments/${name}`
    const query = signatures.addressQuery({ method: 'POST', path, maxBytes })
    const opening = { 'x-goog-resumable': 'start', 'x-goog-content-length-range': `1,${maxBytes}` }
    const opened = expect(201, await this.#ask('POST', `/cdn2${path}?${query}`, opening))
    const { pathname, search } = new URL(opened['location']!)
    const put = (headers: Record<string, string>, body?: Body) =>
      this.#ask('PUT', pathname + search, headers, body)
    return {
      key: `attachments/${name}`,
      doneStatus: 200,
      send: async (body) => (await put({}, body)).status,
      parts: {
        offset: async () => progressOf(await put({ 'content-range': `bytes */${maxBytes}` })),
        append: async (offset, part) => {
          const range = `bytes ${offset}-${offset + part.length - 1}/${maxBytes}`
          return progressOf(await put({ 'content-range': range }, [part]))
        },
      },
    }
    function progressOf({ status, headers }: Exchange): number {
      if (status === 200) return maxBytes
      expect(308, { status, headers })
      return headers['range'] === undefined ? 0 : Number(headers['range'].split('-')[1]) + 1
    }
  }

  async #s3(name: string, maxBytes: number): Promise<Permitted> {
    const key = `profiles/${name}`
    const fields = formFields(new PostPolicy(this.#keys, systemClock).formFor(key, { maxBytes }))
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
    const key = plainKey(this.#keys.signing(nowMs).bearerKey)
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

/** With the keys of a data folder. */
export async function doorsOf(
  server: FilesServer & { readonly data: string },
  httpVersion: HttpVersion,
): Promise<Doors> {
  const { uploads } = await openSecrets(join(server.data, 'secrets'))
  return new Doors(server, new Line(server.ready, httpVersion), uploads)
}
