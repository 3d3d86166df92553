// What one file costs a client: the requests that put it where it belongs, or get it.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { UploadForms } from '../../server/chat/attachments/upload-forms.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import type { FilesJob } from '../job.ts'
import type { FileCalls } from './file-calls.ts'

/** Nothing, or what was wrong. */
export type Outcome = string | undefined

const CHUNK = 'application/offset+octet-stream'
const SIGNED_FOR_S = 3600

export async function transferOf(job: FilesJob, calls: FileCalls): Promise<() => Promise<Outcome>> {
  const { transfer, bytes } = job
  if (transfer.kind === 'get') return () => get(calls, transfer.path, bytes)
  const body = randomBytes(bytes)
  if (transfer.kind === 'tus') {
    const form = await tusForms(transfer, bytes)
    return () => tus(calls, transfer.path, form(), body)
  }
  const address = await addresses(transfer, bytes)
  return () => put(calls, address(), body)
}

async function get(calls: FileCalls, path: string, bytes: number): Promise<Outcome> {
  const answer = await calls.call('GET', path, {})
  return answer.status === 200 && answer.bytes === bytes
    ? undefined
    : `GET: ${answer.status}, ${answer.bytes} bytes`
}

async function put(calls: FileCalls, address: string, body: Buffer): Promise<Outcome> {
  const { status } = await calls.call('PUT', address, { 'Content-Length': body.length }, body)
  return status === 201 ? undefined : `PUT: ${status}`
}

type Headers = Readonly<Record<string, string>>

async function tus(calls: FileCalls, path: string, form: Headers, body: Buffer): Promise<Outcome> {
  const every = { ...form, 'Tus-Resumable': '1.0.0' }
  const created = await calls.call('POST', path, {
    ...every,
    'Upload-Length': body.length,
    'Content-Length': 0,
  })
  const location = created.headers.location
  if (created.status !== 201 || location === undefined) return `POST: ${created.status}`
  const sending = { 'Upload-Offset': 0, 'Content-Type': CHUNK, 'Content-Length': body.length }
  const { status } = await calls.call('PATCH', location, { ...every, ...sending }, body)
  return status === 204 ? undefined : `PATCH: ${status}`
}

/** As the chat server gives them out. */
async function tusForms({ data }: { readonly data?: string }, maxBytes: number): Promise<() => Headers> {
  if (data === undefined) return () => ({})
  const { uploads } = await openSecrets(join(data, 'secrets'))
  const urls = { cdn0: '', cdn2: '', cdn3: '' }
  const forms = new UploadForms({
    signatures: new UploadSignatures(uploads, systemClock),
    urls: () => urls,
    random: systemRandom,
  })
  return () => forms.attachment(maxBytes, 3).headers
}

async function addresses(
  { data, path }: { readonly data?: string; readonly path: string },
  maxBytes: number,
): Promise<() => string> {
  let next = 0
  const name = () => `bench-${process.pid}-${next++}`
  if (data === undefined) return () => `${path}/${name()}`
  const { uploads } = await openSecrets(join(data, 'secrets'))
  const key = plainKey(uploads.signing(Date.now()).bearerKey)
  return () => {
    const expiresAtS = Math.floor(Date.now() / 1000) + SIGNED_FOR_S
    return plainAddress(key, { name: name(), maxBytes, expiresAtS })
  }
}
