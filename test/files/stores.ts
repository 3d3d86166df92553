// Runs one test on every kind of file store, each time on an empty one: the disk, a bucket that a file goes to whole, and
// one that it goes to in many parts.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Bucket } from '../../server/files/bucket/bucket.ts'
import { BucketStore, type BucketStoreOptions } from '../../server/files/bucket/bucket-store.ts'
import type { S3Access } from '../../server/files/bucket/s3-access.ts'
import { S3Client } from '../../server/files/bucket/s3-client.ts'
import type { FileStore } from '../../server/files/file-store.ts'
import { type Clock, ManualClock, systemClock } from '../../server/kit/clock.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { sharedSwift } from '../swift.ts'
import { openDisk } from './disk.ts'

export const STORES = ['disk', 'bucket', 'bucket, in parts'] as const
export type StoreName = (typeof STORES)[number]
export type Collecting = FileStore & { collect(): Promise<void> }

export type StoreOptions = {
  readonly maxBytes?: number
  /** Of the store that sends in parts. */
  readonly partBytes?: number
}

export type TestStore<Store extends Collecting = Collecting> = {
  readonly store: Store
  readonly clock: ManualClock
  /** Another one on the same data: what a start after a crash is to the bytes. */
  again(): Promise<Store>
  /** What is there of uploads that are not finished, here and at the bucket. */
  leftovers(): Promise<readonly string[]>
}
export type OpenStore = (options?: StoreOptions) => Promise<TestStore>

/** Declares `name (disk)`, `name (bucket)`, …; those on a bucket are skipped, saying so, where there is no Swift. */
export function forEachStore(name: string, run: (open: OpenStore, t: TestContext) => Promise<void>): void {
  for (const kind of STORES)
    test(`${name} (${kind})`, async (t) => {
      if (kind === 'disk') return run((options) => openOnDisk(t, options), t)
      const access = await freshAccess(kind !== 'bucket')
      if (!access) return t.skip('OpenStack Swift is not installed')
      const parts = (partBytes = 100_000) => (kind === 'bucket' ? {} : { partBytes })
      await run(({ maxBytes, partBytes } = {}) => openBucket(t, access, { maxBytes, ...parts(partBytes) }), t)
    })
}

/** A bucket of its own, or nothing where there is no Swift. */
export async function freshAccess(smallParts = false): Promise<S3Access | undefined> {
  const swift = await sharedSwift()
  return swift?.freshBucket({ smallParts })
}

async function openOnDisk(t: TestContext, { maxBytes }: StoreOptions = {}): Promise<TestStore> {
  const disk = await openDisk(t, { maxBytes })
  const leftovers = async () => (await disk.files()).filter((path) => path.startsWith('uploads/'))
  return { ...disk, leftovers }
}

export type TestBucket = TestStore<BucketStore> & {
  readonly bucket: Bucket
  readonly folder: string
}

type BucketOptions = {
  readonly maxBytes?: number | undefined
  readonly partBytes?: number
  readonly folder?: string
  readonly sends?: BucketStoreOptions['sends']
  /** Of the requests; the store's own is wound by hand. */
  readonly lineClock?: Clock
}

export async function openBucket(
  t: TestContext,
  access: S3Access,
  { lineClock = systemClock, ...options }: BucketOptions = {},
): Promise<TestBucket> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'helio-bucket-')))
  // What it keeps is dated by the real clock at the bucket, and by this one here.
  const clock = new ManualClock(systemClock.nowMs())
  const opened: BucketStore[] = []
  t.after(async () => {
    for (const store of opened) store.close()
    await rm(folder, { recursive: true, force: true })
  })
  const newBucket = () => new Bucket(new S3Client({ access, clock: lineClock }))
  const open = async () => {
    const store = await BucketStore.open({
      bucket: newBucket(),
      clock,
      random: systemRandom,
      ...options,
      folder,
    })
    opened.push(store)
    return store
  }
  const store = await open()
  const bucket = newBucket()
  t.after(() => bucket.close())
  return {
    ...{ store, clock, bucket, folder, again: open },
    async leftovers() {
      const parts = (await bucket.unfinished()).map(({ key }) => `parts of ${key}`)
      return [...(await readdir(join(folder, 'uploads'))), ...parts]
    },
  }
}

/** Declares a test that is given an empty bucket; skipped, saying so, where there is no Swift. */
export function onBucket(name: string, run: (access: S3Access, t: TestContext) => Promise<void>): void {
  test(name, async (t) => {
    const access = await freshAccess()
    if (!access) return t.skip('OpenStack Swift is not installed')
    await run(access, t)
  })
}
