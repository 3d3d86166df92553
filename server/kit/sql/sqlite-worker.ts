// The thread in which one SQLite connection lives: a batch in, its answer out.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Database } from '@signalapp/sqlcipher'
import { SqliteBatches } from './sqlite-batch.ts'
import { lockFile, openConnection, type SqliteSettings } from './sqlite-connection.ts'

export type WorkerReady = { readonly ready: true } | { readonly ready: false; readonly sentence: string }
/** `bell[0]` is raised and notified after each message: waking by it costs half of what waking by a port does. */
export type WorkerSettings = SqliteSettings & { readonly bell: Int32Array<SharedArrayBuffer> }

const CHECKPOINT_PAGES = 4000
/** However much there is to do, the log holds nothing that is older. */
const EMPTY_LOG_EVERY_MS = 3_600_000
/** The thread sleeps on its bell, so it must let its event loop turn now and then (finalizers run there). */
const BATCHES_PER_TURN = 100
const port = parentPort!
const settings = workerData as WorkerSettings
const isWriter = settings.role === 'writer'
let walPages = 0
/** Since when the log holds former contents of pages; nothing while it is empty. */
let logSinceMs: number | undefined

function open(): [Database, Database | undefined] | undefined {
  try {
    const lock = isWriter ? lockFile(settings.file) : undefined
    return [openConnection(settings), lock]
  } catch (error) {
    port.postMessage({ ready: false, sentence: (error as Error).message } satisfies WorkerReady)
    // A thread that ends at once can take its last words with it: this one waits to be ended.
    port.once('message', () => {})
    return undefined
  }
}

function serve(database: Database, lock: Database | undefined): void {
  const batches = new SqliteBatches(database, settings.role)
  if (isWriter)
    database.setWalHook((_name, pages) => {
      walPages = pages
      logSinceMs ??= Date.now()
    })
  const turn = () => {
    for (let left = BATCHES_PER_TURN; left > 0; left--) {
      const packed = nextMessage(database)
      if (packed === 'close') return close(database, lock)
      answer(batches, packed)
      if (walPages >= CHECKPOINT_PAGES) checkpoint(database)
    }
    setImmediate(turn)
  }
  port.postMessage({ ready: true } satisfies WorkerReady)
  turn()
}

function nextMessage(database: Database): ArrayBuffer | 'close' {
  for (;;) {
    const rung = Atomics.load(settings.bell, 0)
    const received = receiveMessageOnPort(port)
    if (received) return received.message
    const patienceMs = logSinceMs === undefined ? Number.POSITIVE_INFINITY : settings.emptyLogAfterMs
    if (Atomics.wait(settings.bell, 0, rung, patienceMs) === 'timed-out') emptyLog(database)
  }
}

function answer(batches: SqliteBatches, packed: ArrayBuffer): void {
  const answered = batches.apply(packed)
  port.postMessage(answered, [answered])
  if (batches.fatal !== undefined) throw batches.fatal
}

function checkpoint(database: Database): void {
  walPages = 0
  const isOld = logSinceMs !== undefined && Date.now() - logSinceMs >= EMPTY_LOG_EVERY_MS
  if (isOld) emptyLog(database)
  else database.pragma('wal_checkpoint(PASSIVE)')
}

/** Takes the log into the database and cuts it to nothing; a reader in the way means to try again later. */
function emptyLog(database: Database): void {
  const [outcome] = database.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
  if (outcome.busy === 0) logSinceMs = undefined
}

function close(database: Database, lock: Database | undefined): void {
  database.close()
  lock?.close()
}

const opened = open()
if (opened) serve(...opened)
