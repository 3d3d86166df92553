// A user in a group is a ciphertext of an ACI or PNI under the group's key: the same user is always the same bytes.

export type Bytes = Uint8Array<ArrayBuffer>

/** A byte that is kept free, and two points of 32 bytes. */
export const USER_ID_BYTES = 65

export const NO_BYTES: Bytes = new Uint8Array(0)

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}

/** What a map or a set knows an id by. */
export const keyOf = (id: Uint8Array): string =>
  Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')

export const hasDuplicates = (ids: readonly Uint8Array[]): boolean =>
  new Set(ids.map(keyOf)).size < ids.length

/** Bytes that stay what they are when a buffer that they were read from is used again. */
export const ownBytes = (bytes: Uint8Array): Bytes => new Uint8Array(bytes)
