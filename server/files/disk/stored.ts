import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { Stored } from '../file-store.ts'

export function storedOf(key: string, found: Stats): Stored {
  const { mtimeMs, size } = found
  const version = key.startsWith('backups/') ? versionByInode(found) : versionAsAtNginx(found)
  return { length: size, etag: `"${version}"`, storedAtMs: Math.round(mtimeMs) }
}

/** What nginx says of a file of its own accord: a download may begin at one door and end at the other. */
const versionAsAtNginx = ({ mtimeMs, size }: Stats): string =>
  `${Math.floor(mtimeMs / 1000).toString(16)}-${size.toString(16)}`

/**
 * What is replaced in its place may be so twice a second: the two files differ in their inode, so in their tag. It does
 * not show it. nginx serves none of these.
 */
function versionByInode({ ino, mtimeMs, size }: Stats): string {
  return createHash('sha256').update(`${ino} ${mtimeMs} ${size}`).digest('base64url').slice(0, 22)
}
