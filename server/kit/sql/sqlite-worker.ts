// The thread in which one SQLite connection lives: a batch in, its answer out.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Database } from '@signalapp/sqlcipher'
import { SqliteBatches } from './sqlite-batch.ts'
import { lockFile, openConnection, type SqliteSettings } from './sqlite-connection.ts'

export type WorkerReady = { readonly ready: true } | { readonly ready: false; readonly sentence: string }
/** `bell[0]` is raised and notified after each message: waking by it costs half of what waking by a port does. */
export type WorkerSettings = SqliteSettings & { readonly bell: Int32Array<SharedArrayBuffer> }

const CHECKPOINT_PAGES = 4000
/** The thread sleeps on its bell, so it must let its event loop turn now and then (finalizers run there). */
const BATCHES_PER_TURN = 100
const port = parentPort!
const settings = workerData as WorkerSettings
const isWriter = settings.role === 'writer'
let walPages = 0

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
  if (isWriter) database.setWalHook((_name, pages) => (walPages = pages))
  const turn = () => {
    for (let left = BATCHES_PER_TURN; left > 0; left--) {
      const packed = nextMessage()
      if (packed === 'close') return close(database, lock)
      answer(batches, packed)
      if (walPages >= CHECKPOINT_PAGES) checkpoint(database)
    }
    setImmediate(turn)
  }
  port.postMessage({ ready: true } satisfies WorkerReady)
  turn()
}

function nextMessage(): ArrayBuffer | 'close' {
  for (;;) {
    const rung = Atomics.load(settings.bell, 0)
    const received = receiveMessageOnPort(port)
    if (received) return received.message
    Atomics.wait(settings.bell, 0, rung)
  }
}

function answer(batches: SqliteBatches, packed: ArrayBuffer): void {
  const answered = batches.apply(packed)
  port.postMessage(answered, [answered])
  if (batches.fatal !== undefined) throw batches.fatal
}

function checkpoint(database: Database): void {
  database.pragma('wal_checkpoint(PASSIVE)')
  walPages = 0
}

function close(database: Database, lock: Database | undefined): void {
  database.close()
  lock?.close()
}

const opened = open()
if (opened) serve(...opened)
