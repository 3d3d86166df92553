// Sizes that every door and every rule holds to.

export const EC_PUBLIC_KEY_BYTES = 33
export const KEM_PUBLIC_KEY_BYTES = 1569
export const SIGNATURE_BYTES = 64
/** One-time pre-keys of one kind in one upload. */
export const MAX_ONE_TIME_KEYS = 100
/** Bytes of one message's content after decoding. */
export const MAX_CONTENT_BYTES = 96 * 1024
