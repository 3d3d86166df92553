import { createHash } from 'node:crypto'
import { sameSecret } from '../../kit/constant-time.ts'
import { FileRefusal, type Upload } from '../file-store.ts'
import type { Checksum } from './tus-headers.ts'

/** Appends what has this checksum; of anything else, and of what comes from a broken line, nothing is kept. */
export async function appendChecked(
  upload: Upload,
  source: AsyncIterable<Uint8Array>,
  { algorithm, digest }: Checksum,
): Promise<void> {
  const before = upload.offset
  const hash = createHash(algorithm)
  async function* hashed() {
    for await (const chunk of source) {
      hash.update(chunk)
      yield chunk
    }
  }
  try {
    await upload.append(hashed())
    if (!sameSecret(hash.digest(), digest)) throw new FileRefusal('wrong-digest')
  } catch (error) {
    // Who displaced this one has the bytes' care: they are not known to be wrong.
    if (!(error instanceof FileRefusal && error.kind === 'displaced')) await upload.truncate(before)
    throw error
  }
}
