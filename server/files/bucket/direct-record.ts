// What is known of an upload that a client makes at the bucket itself.
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../../kit/private-folder.ts'
import { FILE_MODE, unlessMissing } from '../disk/folders.ts'
import { recordName } from '../disk/upload-record.ts'

const schema = z.object({
  key: z.string(),
  /** Names where it comes to, and the object that is made of it. */
  id: z.string(),
  length: z.number(),
  /** Nothing comes any more after that. */
  expiresAtMs: z.number(),
})
export type DirectRecord = z.output<typeof schema>

export const writeDirectRecord = (folder: string, record: DirectRecord): Promise<void> =>
  writeAtomically(folder, recordName(record.key), JSON.stringify(record), FILE_MODE)

export const removeDirectRecord = (folder: string, { key }: DirectRecord): Promise<void> =>
  rm(join(folder, recordName(key)), { force: true })

export async function readDirectRecords(folder: string): Promise<DirectRecord[]> {
  const records: DirectRecord[] = []
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'utf8').catch(unlessMissing)
    if (text !== undefined && name.endsWith('.json')) records.push(schema.parse(JSON.parse(text)))
  }
  return records
}
