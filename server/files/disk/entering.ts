// A file that another process has written becomes an object: on disk, whole, and where nothing was.
import { constants } from 'node:fs'
import { type FileHandle, link, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../kit/clock.ts'
import { FileRefusal, type Stored } from '../file-store.ts'
import { codeOf, makeFolder, refuseIfFull, syncFolder, unlessMissing } from './folders.ts'
import type { Quota } from './quota.ts'
import { storedOf } from './stored.ts'

export type Entering = {
  readonly key: string
  /** On the same file system as the target. It stays where it is. */
  readonly path: string
  readonly target: string
  readonly maxBytes: number
  readonly quota: Quota
  readonly clock: Clock
}

/** Refuses what is empty, too long, does not fit, is gone meanwhile, or would lie where something lies. */
export async function enterFile(entering: Entering): Promise<Stored> {
  const handle = await open(entering.path, constants.O_RDWR | constants.O_NOFOLLOW).catch(unlessMissing)
  if (!handle) throw new FileRefusal('incomplete')
  return enter(handle, entering).finally(() => handle.close())
}

async function enter(
  handle: FileHandle,
  { key, path, target, maxBytes, quota, clock }: Entering,
): Promise<Stored> {
  const { size } = await handle.stat()
  if (size === 0) throw new FileRefusal('incomplete')
  if (size > maxBytes) throw new FileRefusal('too-long')
  quota.take(size)
  try {
    const nowS = clock.nowMs() / 1000
    await handle.utimes(nowS, nowS)
    await handle.sync()
    await makeFolder(dirname(target))
    await link(path, target)
  } catch (error) {
    quota.give(size)
    if (codeOf(error) === 'EEXIST') throw new FileRefusal('exists')
    if (codeOf(error) === 'ENOENT') throw new FileRefusal('incomplete')
    return refuseIfFull(error)
  }
  await syncFolder(dirname(target))
  return storedOf(key, await stat(target))
}
