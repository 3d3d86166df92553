import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { S3Body } from './s3-exchange.ts'

/** A local file as the body of a request, with its digest: read twice, held never. */
export async function fileBody(path: string): Promise<{ readonly body: S3Body; readonly sha256: string }> {
  const { size } = await stat(path)
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return { body: { bytes: size, open: () => createReadStream(path) }, sha256: hash.digest('hex') }
}
