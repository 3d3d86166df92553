/** The file store, for services that only have something removed from it. */
export interface StoredObjects {
  /** Resolves if the object is not there any more; it may never have been. */
  delete(key: string): Promise<void>
}
