// What is known of an unfinished upload, beside its bytes.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../../kit/private-folder.ts'
import { FILE_MODE, unlessMissing } from './folders.ts'

const schema = z.object({
  key: z.string(),
  maxBytes: z.number(),
  length: z.number().optional(),
  replaces: z.boolean(),
  /** Base64. */
  sha256: z.string().optional(),
  begunAtMs: z.number(),
})
export type UploadRecord = z.output<typeof schema>

const RECORD = '.json'
export const isRecordName = (name: string): boolean => /^[0-9a-f]{64}\.json$/.test(name)
export const uploadName = (key: string): string => createHash('sha256').update(key).digest('hex')
export const recordName = (key: string): string => uploadName(key) + RECORD

/** Entered in the folder on disk, together with everything that was made in it before. */
export const writeRecord = (folder: string, record: UploadRecord): Promise<void> =>
  writeAtomically(folder, recordName(record.key), JSON.stringify(record), FILE_MODE)

export async function readRecord(folder: string, name: string): Promise<UploadRecord | undefined> {
  const text = await readFile(join(folder, name), 'utf8').catch(unlessMissing)
  return text === undefined ? undefined : schema.parse(JSON.parse(text))
}
