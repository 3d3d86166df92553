// A body that may be only so long.
import { FileRefusal } from './file-store.ts'

/** Refuses (`too-long`) instead of the piece with which it would be longer. */
export async function* atMost(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = maxBytes
  for await (const piece of source) {
    left -= piece.length
    if (left < 0) throw new FileRefusal('too-long')
    yield piece
  }
}
