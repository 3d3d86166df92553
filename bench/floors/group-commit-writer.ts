import { randomBytes } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { Database } from '@signalapp/sqlcipher'
import { type Batch, RECIPIENT_BYTES, type Read, type Reply, type Row } from './group-commit.ts'

const db = new Database(workerData.path)
db.pragma(`key = "x'${randomBytes(32).toString('hex')}'"`)
db.pragma('journal_mode = WAL')
db.pragma('synchronous = FULL')
// Rows in the order they come and a small index beside them: 0.6 of the CPU of one tree keyed by recipient.
db.exec(`
  CREATE TABLE messages (id INTEGER PRIMARY KEY, recipient BLOB NOT NULL, envelope BLOB NOT NULL) STRICT;
  CREATE INDEX messages_by_recipient ON messages (recipient, id);
`)

const begin = db.prepare('BEGIN IMMEDIATE')
const commit = db.prepare('COMMIT')
const insert = db.prepare('INSERT INTO messages (id, recipient, envelope) VALUES (?, ?, ?)')
const remove = db.prepare('DELETE FROM messages WHERE id = ?')
const page = db.prepare(
  'SELECT id, envelope FROM messages WHERE recipient = ? AND id > ? ORDER BY id LIMIT ?',
)

parentPort!.on('message', (job: Batch | Read) => {
  const reply: Reply = job.kind === 'write' ? write(job) : read(job)
  parentPort!.postMessage(reply)
})

function write(batch: Batch): Reply {
  begin.run()
  insertAll(batch)
  for (const id of batch.deletes) remove.run([id])
  commit.run()
  return { kind: 'written' }
}

function insertAll({ firstId, records }: Batch): void {
  const view = new DataView(records.buffer)
  let id = firstId
  for (let at = 0; at < records.length; id++) {
    const from = at + 4 + RECIPIENT_BYTES
    const to = from + view.getUint32(at, true)
    insert.run([id, records.subarray(at + 4, from), records.subarray(from, to)])
    at = to
  }
}

const read = ({ recipient, afterId, limit }: Read): Reply => ({
  kind: 'rows',
  rows: page.all([recipient, afterId, limit]) as readonly unknown[] as readonly Row[],
})
