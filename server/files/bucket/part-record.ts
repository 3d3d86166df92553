// What is known of an upload whose beginning may be at the bucket: kept on the local disk, beside its unfinished part.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../../kit/private-folder.ts'
import { FILE_MODE, unlessMissing } from '../disk/folders.ts'
import { recordName, uploadName } from '../disk/upload-record.ts'

const schema = z.object({
  key: z.string(),
  /** Of this upload alone; the object will name it. */
  id: z.string(),
  maxBytes: z.number(),
  length: z.number().optional(),
  replaces: z.boolean(),
  /** Base64. */
  sha256: z.string().optional(),
  begunAtMs: z.number(),
  /** The bucket's name for it, once it has parts there. */
  partsId: z.string().optional(),
  /** The parts that are at the bucket, in order; `digest` is the state of SHA-256 after each. */
  sent: z.array(z.object({ bytes: z.number(), etag: z.string(), digest: z.string().optional() })),
})
export type PartRecord = z.output<typeof schema>

/** Parts count from 0 here. */
export const partName = (key: string, index: number): string => `${uploadName(key)}.${index}`

/** To which upload's name a part belongs, and which it is. */
export function partOf(name: string): { readonly upload: string; readonly index: number } | undefined {
  const match = /^([0-9a-f]{64})\.(\d{1,5})$/.exec(name)
  return match ? { upload: match[1]!, index: Number(match[2]) } : undefined
}

export const sentBytes = ({ sent }: PartRecord): number => sent.reduce((sum, { bytes }) => sum + bytes, 0)

/** Entered in the folder on disk, together with everything that was made in it before. */
export const writePartRecord = (folder: string, record: PartRecord): Promise<void> =>
  writeAtomically(folder, recordName(record.key), JSON.stringify(record), FILE_MODE)

export async function readPartRecord(folder: string, name: string): Promise<PartRecord | undefined> {
  const text = await readFile(join(folder, name), 'utf8').catch(unlessMissing)
  return text === undefined ? undefined : schema.parse(JSON.parse(text))
}
