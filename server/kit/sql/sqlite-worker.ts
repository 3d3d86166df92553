// The thread in which one SQLite connection lives: a batch in, its answer out.
import { parentPort, workerData } from 'node:worker_threads'
import type { Database } from '@signalapp/sqlcipher'
import { SqliteBatches } from './sqlite-batch.ts'
import { lockFile, openConnection, type SqliteSettings } from './sqlite-connection.ts'

export type WorkerReady = { readonly ready: true } | { readonly ready: false; readonly sentence: string }

const CHECKPOINT_PAGES = 1000
const port = parentPort!
const settings = workerData as SqliteSettings
const isWriter = settings.role === 'writer'
let walPages = 0

function open(): [Database, Database | undefined] | undefined {
  try {
    const lock = isWriter ? lockFile(settings.file) : undefined
    return [openConnection(settings), lock]
  } catch (error) {
    port.postMessage({ ready: false, sentence: (error as Error).message } satisfies WorkerReady)
    port.close()
    return undefined
  }
}

function serve(database: Database, lock: Database | undefined): void {
  const batches = new SqliteBatches(database, settings.role)
  if (isWriter) database.setWalHook((_name, pages) => (walPages = pages))
  port.on('message', (packed: ArrayBuffer | 'close') => {
    if (packed === 'close') return close(database, lock)
    const answer = batches.apply(packed)
    port.postMessage(answer, [answer])
    if (batches.fatal !== undefined) throw batches.fatal
    if (walPages >= CHECKPOINT_PAGES) checkpoint(database)
  })
  port.postMessage({ ready: true } satisfies WorkerReady)
}

function checkpoint(database: Database): void {
  database.pragma('wal_checkpoint(PASSIVE)')
  walPages = 0
}

function close(database: Database, lock: Database | undefined): void {
  database.close()
  lock?.close()
  port.close()
}

const opened = open()
if (opened) serve(...opened)
