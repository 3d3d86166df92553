import { FileRefusal, type FileStore, type Stored } from './file-store.ts'

export type WholeUpload = {
  readonly key: string
  readonly minBytes: number
  readonly maxBytes: number
  /** What is not wanted any more fails at its end. */
  readonly source: AsyncIterable<Uint8Array>
  readonly replaces?: boolean
}

/** Stores an object in one go, or nothing: there is no way to go on with what breaks off. */
export async function storeWhole(store: FileStore, upload: WholeUpload): Promise<Stored> {
  const { key, minBytes, maxBytes, source, replaces = false } = upload
  const begun = await store.begin(key, maxBytes, { replaces })
  try {
    if ((await begun.append(source)) < minBytes) throw new FileRefusal('incomplete')
    return await begun.finish()
  } catch (error) {
    // If that fails, somebody else has begun anew, or the collector will do it.
    await begun.abandon().catch(() => {})
    throw error
  }
}
