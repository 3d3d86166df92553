// A folder for what must stay secret: itself 0700, its files 0600, each written whole or not at all.
import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { chmod, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const OTHERS = 0o077
/** A change of a file takes milliseconds: a lock that is older was left by a crash. */
const LOCK_ENDS_MS = 10_000
const LOCK_POLL_MS = 20

/** One sentence for the operator about keys that cannot be used; it never contains one. */
export class SecretsError extends Error {
  override readonly name = 'SecretsError'
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)

/** Writes so that after a crash the old file or the new one is there, and after the return the new one. */
export async function writeAtomically(
  folder: string,
  name: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  const temporary = await writeTemporary(folder, name, content, mode)
  await rename(temporary, join(folder, name))
  await syncFolder(folder)
}

async function writeTemporary(
  folder: string,
  name: string,
  content: string | Uint8Array,
  mode: number,
): Promise<string> {
  const path = join(folder, `.${name}.${randomBytes(6).toString('hex')}`)
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  return path
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export class PrivateFolder {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Makes the folder if it is missing. Throws `SecretsError` if it cannot be used or is open to others. */
  static async open(path: string): Promise<PrivateFolder> {
    try {
      await mkdir(path, { recursive: true, mode: FOLDER_MODE })
    } catch (error) {
      throw new SecretsError(`Cannot make the secrets folder ${path} (${codeOf(error)}).`)
    }
    await mustBeClosed(path)
    return new PrivateFolder(path)
  }

  /** The text of a file, or nothing if it is not there. Closes it to others first, or throws `SecretsError`. */
  async read(name: string): Promise<string | undefined> {
    const path = join(this.path, name)
    try {
      await closeFile(path)
      return await readFile(path, 'utf8')
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      if (error instanceof SecretsError) throw error
      throw new SecretsError(`Cannot read ${path} (${codeOf(error)}).`)
    }
  }

  async write(name: string, content: string): Promise<void> {
    await this.#explain(name, () => writeAtomically(this.path, name, content, FILE_MODE))
  }

  /** Writes a file that is not there yet. If another process was faster, its text stands and is returned. */
  async create(name: string, content: string): Promise<string> {
    await this.#explain(name, async () => {
      const temporary = await writeTemporary(this.path, name, content, FILE_MODE)
      await link(temporary, join(this.path, name)).catch(unlessThere)
      await rm(temporary)
      await syncFolder(this.path)
    })
    return (await this.read(name)) ?? content
  }

  /** What changes, until it is done; a process at a time, of all that share the folder. */
  async alone<T>(name: string, change: () => Promise<T>): Promise<T> {
    const lock = join(this.path, `.${name}.lock`)
    await this.#explain(name, async () => {
      while (!(await makeLock(lock))) await setTimeout(LOCK_POLL_MS)
    })
    return change().finally(() => rm(lock, { force: true }))
  }

  /** Tells one version of a file from another; undefined if it is not there. */
  async versionOf(name: string): Promise<string | undefined> {
    const found = await stat(join(this.path, name)).catch(() => undefined)
    return found && `${found.ino} ${found.mtimeMs} ${found.size}`
  }

  async #explain(name: string, write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      throw new SecretsError(`Cannot write ${join(this.path, name)} (${codeOf(error)}).`)
    }
  }
}

/** False if there is one, unless a crash left it. */
async function makeLock(path: string): Promise<boolean> {
  const made = await open(path, 'wx', FILE_MODE).catch(unlessThere)
  await made?.close()
  if (made) return true
  const found = await stat(path).catch(() => undefined)
  if (found && Date.now() - found.mtimeMs > LOCK_ENDS_MS) await rm(path, { force: true })
  return false
}

function unlessThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error
}

const isOpen = ({ mode }: Stats) => (mode & OTHERS) !== 0

/** Closes a folder that is still empty, as a fresh mount is. One that holds anything may not be ours to close. */
async function mustBeClosed(folder: string): Promise<void> {
  if (!isOpen(await stat(folder))) return
  const isEmpty = (await readdir(folder)).length === 0
  if (isEmpty) return chmodOrThrow(folder, FOLDER_MODE)
  throw new SecretsError(`The secrets folder ${folder} is open to other users: run chmod 700 on it.`)
}

async function closeFile(path: string): Promise<void> {
  if (isOpen(await stat(path))) await chmodOrThrow(path, FILE_MODE)
}

async function chmodOrThrow(path: string, mode: number): Promise<void> {
  try {
    await chmod(path, mode)
  } catch (error) {
    const wanted = mode.toString(8)
    throw new SecretsError(`${path} is open to other users and chmod ${wanted} failed (${codeOf(error)}).`)
  }
}
