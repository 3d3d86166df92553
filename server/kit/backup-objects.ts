// The objects behind backups, wherever they are kept. Paths are `<backupDir>/<mediaDir>/<mediaId>`.

/** The number under which clients know the store of backups. */
export const BACKUP_CDN = 3

/** The layer that a copy gets: AES-256-CBC, then HMAC-SHA256 over IV and ciphertext. 32 bytes each; must stay secret. */
export type OuterLayer = { readonly encryptionKey: Uint8Array; readonly hmacKey: Uint8Array }

export type CopySource = { readonly cdn: number; readonly key: string; readonly bytes: number }

/** `addedBytes` is by how much the store grew: nothing where the same object was there already. */
export type CopyOutcome =
  | { readonly kind: 'copied'; readonly addedBytes: number }
  | { readonly kind: 'source-not-found' | 'wrong-length' }

export type Listed = {
  readonly objects: readonly { readonly name: string; readonly bytes: number }[]
  /** Where the next page begins; absent on the last one. */
  readonly cursor: string | undefined
}

export type Usage = { readonly bytes: number; readonly objects: number }

export interface BackupObjects {
  /** Copies an attachment, with a layer of encryption around it. Whole or not at all. */
  copy(source: CopySource, layer: OuterLayer, path: string): Promise<CopyOutcome>
  /** The objects right in a folder, by name. Refuses (`bad-request`) a cursor that it did not give. */
  list(folder: string, cursor: string | undefined, limit: number): Promise<Listed>
  usage(folder: string): Promise<Usage>
  /** Gives the bytes that were freed: 0 if there was no such object. */
  delete(path: string): Promise<number>
  /** Deletes a folder with everything in it, if it is there. */
  deleteFolder(folder: string): Promise<void>
}

/** While there is no file store, no attachment is there to be copied. */
export const noBackupObjects: BackupObjects = {
  copy: async () => ({ kind: 'source-not-found' }),
  list: async () => ({ objects: [], cursor: undefined }),
  usage: async () => ({ bytes: 0, objects: 0 }),
  delete: async () => 0,
  deleteFolder: async () => {},
}

/** IV, ciphertext with its padding, MAC. */
export const copiedBytes = (sourceBytes: number): number => 16 + (Math.floor(sourceBytes / 16) + 1) * 16 + 32
