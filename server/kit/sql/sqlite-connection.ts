// Opens one encrypted SQLite connection, and keeps a second process away from the same data.
import { Database } from '@signalapp/sqlcipher'
import { StorageError } from './storage-error.ts'

export type SqliteRole = 'writer' | 'reader'
export type SqliteSettings = {
  readonly file: string
  readonly key: Uint8Array
  readonly role: SqliteRole
  /** The log keeps former contents of pages: the writer empties it after so long without work, and once an hour. */
  readonly emptyLogAfterMs: number
}

const CACHE_KIB: Readonly<Record<SqliteRole, number>> = { writer: 8192, reader: 4096 }
const WAL_KEPT_BYTES = 32 * 1024 * 1024

/** Throws a StorageError whose sentence says why the file cannot be used. */
export function openConnection({ file, key, role }: Pick<SqliteSettings, 'file' | 'key' | 'role'>): Database {
  return explained(file, () => {
    const database = new Database(file)
    database.pragma('cipher_log_level = NONE')
    database.pragma(`key = "x'${Buffer.from(key).toString('hex')}'"`)
    database.pragma('busy_timeout = 5000')
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.pragma('wal_autocheckpoint = 0')
    // What is deleted is overwritten, also in pages that become free: encrypted or not, it shall not be there.
    database.pragma('secure_delete = ON')
    database.pragma(`journal_size_limit = ${WAL_KEPT_BYTES}`)
    database.pragma(`cache_size = -${CACHE_KIB[role]}`)
    if (role === 'reader') database.pragma('query_only = ON')
    return database
  })
}

/**
 * Holds `<file>-lock` until the returned connection is closed or the process dies, however it dies.
 * Throws a StorageError if somebody else holds it.
 */
export function lockFile(file: string): Database {
  return explained(file, () => {
    const lock = new Database(`${file}-lock`)
    lock.pragma('locking_mode = EXCLUSIVE')
    lock.pragma('journal_mode = MEMORY')
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  })
}

/** SQLite's name of an error, such as SQLITE_BUSY; empty for what is not SQLite's. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.message.startsWith('sqlite open error') ? 'SQLITE_CANTOPEN' : ''
}

function explained<T>(file: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw new StorageError(sentence(file, codeOf(error)), { cause: error })
  }
}

function sentence(file: string, code: string): string {
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return `The database ${file} is in use by another process: only one Heliograph can work on it at a time.`
  if (code === 'SQLITE_NOTADB')
    return `The database ${file} cannot be read: the key is not the one it was made with, or the file is damaged.`
  if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY'))
    return `The database ${file} cannot be opened: its folder must exist and be writable.`
  return `The database ${file} cannot be opened (${code || 'unexpected error'}).`
}
