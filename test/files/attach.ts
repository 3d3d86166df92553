// Puts an attachment where a form would let it, without asking for one.
import { randomBytes } from 'node:crypto'
import type { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import type { Https } from '../client/https.ts'
import { expectStatus } from '../client/rest.ts'

/** Gives its key. */
export async function attach(
  https: Https,
  signatures: UploadSignatures,
  content: Uint8Array,
): Promise<string> {
  const key = randomBytes(15).toString('base64url')
  const path = `/attachments/${key}`
  const maxBytes = content.length
  const headers = { 'x-goog-resumable': 'start', 'x-goog-content-length-range': `1,${maxBytes}` }
  const query = signatures.addressQuery({ method: 'POST', path, maxBytes })
  const opened = await https.call('POST', `/cdn2${path}?${query}`, { headers })
  expectStatus(201, opened)
  const { pathname, search } = new URL(opened.headers['location']!)
  expectStatus(200, await https.call('PUT', pathname + search, { body: content }))
  return key
}
