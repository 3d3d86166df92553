// A store of files on a folder of its own, which goes with the test.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { DiskStore, type DiskStoreOptions } from '../../server/files/disk/disk-store.ts'
import { ManualClock } from '../../server/kit/clock.ts'

export type Disk = {
  readonly store: DiskStore
  readonly clock: ManualClock
  readonly folder: string
  /** Another one on the same folder: what a start after a crash is to the bytes. */
  again(): Promise<DiskStore>
  /** Every file below the folder, by its path from there. */
  files(): Promise<string[]>
}

export async function openDisk(t: TestContext, options: Partial<DiskStoreOptions> = {}): Promise<Disk> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'helio-files-')))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const clock = new ManualClock()
  const open = () => DiskStore.open({ clock, ...options, folder })
  return {
    store: await open(),
    clock,
    folder,
    again: open,
    async files() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .sort()
    },
  }
}

/** Bytes that tell their own place, in pieces. */
export function patterned(length: number, from = 0): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) bytes[at] = ((from + at) * 2654435761) >>> 24
  return bytes
}

export async function* pieces(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Gives what it has, and then fails as a broken line does. */
export async function* broken(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* pieces(bytes)
  throw new Error('the line broke')
}

export async function gather(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}
