// Sizes that every door and every rule holds to.

export const EC_PUBLIC_KEY_BYTES = 33
export const KEM_PUBLIC_KEY_BYTES = 1569
export const SIGNATURE_BYTES = 64
/** One-time pre-keys of one kind in one upload. */
export const MAX_ONE_TIME_KEYS = 100
/** Bytes of one message's content after decoding. */
export const MAX_CONTENT_BYTES = 96 * 1024
export const USERNAME_HASH_BYTES = 32
/** Names that one reservation may ask for. */
export const MAX_USERNAME_HASHES = 20
/** Bytes of the encrypted username behind a link. */
export const MAX_USERNAME_CIPHERTEXT_BYTES = 128
/** Bytes of a request's body, where its route does not say otherwise. */
export const MAX_BODY_BYTES = 512 * 1024
/** Bytes of a multi-recipient message: a large message, and 100 bytes for each of 5000 recipients. */
export const MAX_MULTI_RECIPIENT_BYTES = 32 + 256 * 1024 + 5000 * 100
/** Bytes of one write of encrypted records: a whole account's, when its first device stores them. */
export const MAX_RECORDS_BODY_BYTES = 16 * 1024 * 1024
/** Keys that one question for records may name. */
export const MAX_RECORD_KEYS = 5120
/** Phone numbers in one question of contact discovery, whatever the operator allows. */
export const MAX_DISCOVERY_NUMBERS = 5000
/** Access keys that come with it. */
export const MAX_DISCOVERY_KEYS = 5000
/** Bytes of a group or of a change to one: every member of the largest group with a presentation, and some more. */
export const MAX_GROUP_BYTES = 1024 * 1024
