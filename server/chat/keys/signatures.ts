// Keys are what clients say they are, and signed by the identity that they belong to.
import { setImmediate } from 'node:timers/promises'
import { KEMPublicKey, PublicKey } from '@signalapp/libsignal-client'
import { Refusal } from '../../kit/refusal.ts'
import type { EcPreKey, SignedPreKey } from './pre-key.ts'

/** Signatures checked in one turn of the event loop: about half a millisecond. */
const PER_TURN = 8

function deserialize<T>(field: string, bytes: Uint8Array, read: (bytes: Uint8Array<ArrayBuffer>) => T): T {
  try {
    return read(new Uint8Array(bytes))
  } catch {
    throw new Refusal('invalid', { field, message: 'must be a public key' })
  }
}

export const readIdentityKey = (field: string, bytes: Uint8Array): PublicKey =>
  deserialize(field, bytes, (key) => PublicKey.deserialize(key))

function checkSignature(field: string, identityKey: PublicKey, key: SignedPreKey): void {
  if (identityKey.verify(new Uint8Array(key.publicKey), new Uint8Array(key.signature))) return
  throw new Refusal('invalid', { field, message: 'must be signed by the identity key' })
}

/** Refuses (422) an EC key that is none, or that the identity did not sign. */
export function checkSignedEc(field: string, identityKey: PublicKey, key: SignedPreKey): void {
  deserialize(field, key.publicKey, (bytes) => PublicKey.deserialize(bytes))
  checkSignature(field, identityKey, key)
}

/** The same for a Kyber key. */
export function checkSignedKem(field: string, identityKey: PublicKey, key: SignedPreKey): void {
  deserialize(field, key.publicKey, (bytes) => KEMPublicKey.deserialize(bytes))
  checkSignature(field, identityKey, key)
}

export function checkEc(field: string, keys: readonly EcPreKey[]): void {
  for (const key of keys) deserialize(field, key.publicKey, (bytes) => PublicKey.deserialize(bytes))
}

/** Checks a list without holding the event loop for longer than a few signatures. */
export async function checkKemList(
  field: string,
  identityKey: PublicKey,
  keys: readonly SignedPreKey[],
): Promise<void> {
  for (const [index, key] of keys.entries()) {
    checkSignedKem(field, identityKey, key)
    if (index % PER_TURN === PER_TURN - 1) await setImmediate()
  }
}
