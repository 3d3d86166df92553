// What was deleted is nowhere in the files, for whoever has the key (case O6).
import assert from 'node:assert/strict'
import { createDecipheriv, randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../../test/engines.ts'
import { within } from '../../../test/within.ts'
import { openSqlite } from './sqlite.ts'

const PAGE = 4096
/** At the end of each page: 16 bytes of initialization vector and a MAC (SQLCipher 4). */
const RESERVED = 80
const SALT = 16
const WAL_HEADER = 32
const FRAME_HEADER = 24

function decrypted(page: Buffer, key: Uint8Array, isFirst: boolean): Buffer {
  const iv = page.subarray(PAGE - RESERVED, PAGE - RESERVED + 16)
  const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  return Buffer.concat([
    decipher.update(page.subarray(isFirst ? SALT : 0, PAGE - RESERVED)),
    decipher.final(),
  ])
}

/** Every page of the database, and every one in its log. */
async function pagesOf(file: string, key: Uint8Array): Promise<Buffer[]> {
  const database = await readFile(file)
  const log = await readFile(`${file}-wal`).catch(() => Buffer.alloc(0))
  const pages: Buffer[] = []
  for (let at = 0; at < database.length; at += PAGE)
    pages.push(decrypted(database.subarray(at, at + PAGE), key, at === 0))
  for (let at = WAL_HEADER; at + FRAME_HEADER + PAGE <= log.length; at += FRAME_HEADER + PAGE) {
    const isFirst = log.readUInt32BE(at) === 1
    pages.push(decrypted(log.subarray(at + FRAME_HEADER, at + FRAME_HEADER + PAGE), key, isFirst))
  }
  return pages
}

async function openLetters(t: TestContext, emptyLogAfterMs: number) {
  const file = join(await temporaryFolder(t), 'test.db')
  const key = randomBytes(32)
  const sql = await openSqlite({ engine: 'sqlite', file, key, emptyLogAfterMs }, (error) =>
    assert.fail(error),
  )
  t.after(() => sql.close())
  const write = (text: string, args: Uint8Array[] = []) => sql.write([{ sql: text, args }])
  await write('CREATE TABLE letters (owner BYTEA, body BYTEA)')
  const found = async (needle: Buffer) => (await pagesOf(file, key)).some((page) => page.includes(needle))
  const logIsEmpty = async () => {
    while ((await stat(`${file}-wal`)).size > 0);
  }
  return { sql, write, found, logIsEmpty }
}

test('what is deleted is overwritten, in pages that are used and in those that become free', async (t) => {
  const { sql, write, found } = await openLetters(t, 60_000)
  const needle = randomBytes(24)
  const [mine, other] = [Buffer.of(1), Buffer.of(2)]
  const insert = 'INSERT INTO letters (owner, body) VALUES ($1, $2)'
  for (let count = 0; count < 50; count++) {
    await write(insert, [mine, Buffer.concat([needle, randomBytes(count % 2 === 0 ? 100 : 20_000), needle])])
    await write(insert, [other, randomBytes(100)])
  }
  assert.ok(await found(needle), 'the test reads what is there')
  await write('DELETE FROM letters WHERE owner = $1', [mine])
  await sql.close()
  assert.equal(await found(needle), false)
})

test('the log is emptied when there is nothing to do', async (t) => {
  const { write, found, logIsEmpty } = await openLetters(t, 20)
  const needle = randomBytes(24)
  await write('INSERT INTO letters (owner, body) VALUES ($1, $2)', [Buffer.of(1), needle])
  await write('DELETE FROM letters')
  await within(logIsEmpty(), 'the log to be emptied')
  assert.equal(await found(needle), false)
  await write('INSERT INTO letters (owner, body) VALUES ($1, $2)', [Buffer.of(1), needle])
  assert.ok(await found(needle))
  await within(logIsEmpty(), 'the log to be emptied again')
})
