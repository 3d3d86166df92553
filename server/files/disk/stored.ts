import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { Stored } from '../file-store.ts'

/** Two files that lie in one place one after the other differ in their inode, so in their tag; it does not show it. */
export function storedOf({ ino, mtimeMs, size }: Stats): Stored {
  const version = createHash('sha256').update(`${ino} ${mtimeMs} ${size}`).digest('base64url')
  return { length: size, etag: `"${version.slice(0, 22)}"`, storedAtMs: Math.round(mtimeMs) }
}
