// Folders whose entries survive a power cut once they are told to.
import { mkdir, open, readdir, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FileRefusal } from '../file-store.ts'

export const FOLDER_MODE = 0o700
export const FILE_MODE = 0o600

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

/** For an operation on a path: nothing there is no failure. ENOTDIR: a file lies where a folder would be. */
export function unlessMissing(error: unknown): undefined {
  const code = codeOf(error)
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG']
/** A disk without room is no bug. */
export function refuseIfFull(error: unknown): never {
  throw FULL.includes(codeOf(error) ?? '') ? new FileRefusal('full') : error
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

/** Makes a folder and those above it, and has each of them entered in its own on disk. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

/** What lies right in a folder; nothing if it is not there. */
export async function namesIn(folder: string): Promise<{ files: string[]; folders: string[] }> {
  const entries = (await readdir(folder, { withFileTypes: true }).catch(unlessMissing)) ?? []
  const [folders, files] = [true, false].map((isFolder) =>
    entries.filter((entry) => entry.isDirectory() === isFolder).map(({ name }) => name),
  )
  return { files: files!, folders: folders! }
}

/** Unless something came into it meanwhile. */
export async function removeEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error) => {
    if (codeOf(error) !== 'ENOTEMPTY') unlessMissing(error)
  })
}

/** Bytes of all files below a folder that are counted. */
export async function bytesBelow(folder: string, counts = (_name: string) => true): Promise<number> {
  let bytes = 0
  for (const entry of (await readdir(folder, { withFileTypes: true }).catch(unlessMissing)) ?? []) {
    const path = join(folder, entry.name)
    if (!entry.isDirectory() && !counts(entry.name)) continue
    bytes += entry.isDirectory()
      ? await bytesBelow(path, counts)
      : ((await stat(path).catch(unlessMissing))?.size ?? 0)
  }
  return bytes
}
