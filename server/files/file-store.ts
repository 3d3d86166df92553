// Where files lie: one narrow interface, and what any store refuses.
import type { Readable } from 'node:stream'

export type Stored = {
  readonly length: number
  /** With its quotes, as in the header. */
  readonly etag: string
  readonly storedAtMs: number
}

export type Listed = { readonly name: string; readonly length: number }

/** Bytes from `first` to `last`, both included. */
export type Range = { readonly first: number; readonly last: number }

/** One version of an object: whatever is put in its place meanwhile, what is read belongs to what was told, or it fails. */
export type OpenFile = Stored & {
  /** Once; closes the file at its end. */
  read(range?: Range): Readable
  /** For who does not read. */
  close(): Promise<void>
}

export type BeginOptions = {
  /** Known from the start. Otherwise `declare` tells it. */
  readonly length?: number | undefined
  /** An object that is there already stays until `finish` puts this one in its place. */
  readonly replaces?: boolean
  /** `finish` refuses a file that has another digest. */
  readonly sha256?: Uint8Array | undefined
}

export interface FileStore {
  /** For stores to which clients may be sent. */
  readonly addresses?: FileAddresses | undefined
  /**
   * A new upload; nothing is served before `finish`. Refuses a key that exists already. An unfinished upload of the same
   * key is begun anew.
   */
  begin(key: string, maxBytes: number, options?: BeginOptions): Promise<Upload>
  /** An unfinished upload. Whoever is appending to it stops first, and what came from them is on disk. */
  resume(key: string): Promise<Upload | undefined>
  stat(key: string): Promise<Stored | undefined>
  open(key: string): Promise<OpenFile | undefined>
  /** Errors if there is no such object. */
  read(key: string, range?: Range): Readable
  /** Gives the bytes that were freed; 0 if there was no such object. */
  delete(key: string): Promise<number>
  /** The objects right in a folder, by name: after a name, at most so many. */
  list(folder: string, after: string, limit: number): Promise<readonly Listed[]>
  /** Deletes everything in a folder that is there now. */
  deleteFolder(folder: string): Promise<void>
}

/** Where clients put and get files themselves: addresses that are signed, and good for some minutes. */
export interface FileAddresses {
  /** For a new object of exactly so many bytes: it is there when they are. Nothing if clients put their files here. */
  toPut(key: string, length: number): Promise<string | undefined>
  /** Nothing if there is no such object, or clients get it here. */
  toGet(key: string): Promise<string | undefined>
}

export interface Upload {
  /** Bytes that are there. */
  readonly offset: number
  readonly length: number | undefined
  readonly maxBytes: number
  /** Says how long the file will be; it can be said once. */
  declare(length: number): Promise<void>
  /**
   * Gives the bytes on disk, fsynced. If the source fails, what came from it is on disk all the same, and the failure
   * is thrown on. Refuses more bytes than were declared or allowed.
   */
  append(source: AsyncIterable<Uint8Array>): Promise<number>
  /** Drops what came after `offset`. */
  truncate(offset: number): Promise<void>
  /** The object is there afterwards, whole and for good. Refuses if bytes are missing, or the key was taken meanwhile. */
  finish(): Promise<Stored>
  abandon(): Promise<void>
}

export type FileRefusalKind =
  | 'bad-key'
  | 'exists'
  | 'too-long'
  | 'incomplete'
  | 'other-length'
  | 'displaced'
  | 'wrong-digest'
  | 'full'
  /** The store is not to be had just now. What is there stays. */
  | 'unavailable'

/** What a store refuses. It is no bug. */
export class FileRefusal extends Error {
  readonly kind: FileRefusalKind

  constructor(kind: FileRefusalKind) {
    super(kind)
    this.kind = kind
  }
}
