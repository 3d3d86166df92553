// The layer around a copy in a backup (signal-api §2.20): IV, AES-256-CBC with padding, HMAC-SHA256 of both.
import { createCipheriv, createHmac } from 'node:crypto'
import type { OuterLayer } from '../kit/backup-objects.ts'
import type { Random } from '../kit/random.ts'

const IV_BYTES = 16

/** As it is read: nothing of it is held. `copiedBytes` says how long it is. */
export async function* withOuterLayer(
  source: AsyncIterable<Uint8Array>,
  { encryptionKey, hmacKey }: OuterLayer,
  random: Random,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iv = random.bytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-cbc', encryptionKey, iv)
  const mac = createHmac('sha256', hmacKey)
  const authenticated = (piece: Buffer): Buffer => {
    mac.update(piece)
    return piece
  }
  yield authenticated(iv)
  for await (const piece of source) yield authenticated(cipher.update(piece))
  yield authenticated(cipher.final())
  yield mac.digest()
}
