import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { passed } from '../../kit/passing-bytes.ts'
import type { S3Body } from './s3-exchange.ts'

/** A local file as the body of a request, with its digest: read twice, held never. */
export async function fileBody(path: string): Promise<{ readonly body: S3Body; readonly sha256: string }> {
  const { size } = await stat(path)
  const hash = createHash('sha256')
  for await (const piece of piecesOf(path)) hash.update(piece)
  return { body: { bytes: size, open: () => Readable.from(piecesOf(path)) }, sha256: hash.digest('hex') }
}

/** What came before a piece is not needed any more when that is taken. */
export async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  for await (const piece of createReadStream(path)) {
    yield piece as Uint8Array
    passed((piece as Uint8Array).length)
  }
}
