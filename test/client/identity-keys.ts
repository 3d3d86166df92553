// The keys that a device makes for one of its identities, and how they look in JSON.
import { randomInt } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'

export type IdentityKeys = {
  readonly pair: LS.IdentityKeyPair
  readonly registrationId: number
  readonly signedPreKey: LS.SignedPreKeyRecord
  readonly lastResortPreKey: LS.KyberPreKeyRecord
}
export type OneTimeKeys = {
  readonly ec: readonly LS.PreKeyRecord[]
  readonly kyber: readonly LS.KyberPreKeyRecord[]
}

export const newKeyId = (): number => randomInt(1, 0x7fffff00)

export function makeIdentityKeys(pair = LS.IdentityKeyPair.generate()): IdentityKeys {
  return {
    pair,
    registrationId: randomInt(1, 0x3fff),
    signedPreKey: makeSignedPreKey(pair),
    lastResortPreKey: makeKyberPreKey(pair, newKeyId()),
  }
}

export function makeSignedPreKey(pair: LS.IdentityKeyPair, id = newKeyId()): LS.SignedPreKeyRecord {
  const key = LS.PrivateKey.generate()
  const signature = pair.privateKey.sign(key.getPublicKey().serialize())
  return LS.SignedPreKeyRecord.new(id, Date.now(), key.getPublicKey(), key, signature)
}

export function makeKyberPreKey(pair: LS.IdentityKeyPair, id: number): LS.KyberPreKeyRecord {
  const key = LS.KEMKeyPair.generate()
  const signature = pair.privateKey.sign(key.getPublicKey().serialize())
  return LS.KyberPreKeyRecord.new(id, Date.now(), key, signature)
}

/** `count` keys of each kind with ids that follow one another. */
export function makeOneTimeKeys(pair: LS.IdentityKeyPair, count: number): OneTimeKeys {
  const first = newKeyId()
  const ids = Array.from({ length: count }, (_, index) => (first + index) & 0x7fffffff)
  const makeEc = (id: number) => {
    const key = LS.PrivateKey.generate()
    return LS.PreKeyRecord.new(id, key.getPublicKey(), key)
  }
  return { ec: ids.map(makeEc), kyber: ids.map((id) => makeKyberPreKey(pair, id)) }
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

export const ecJson = (key: LS.PreKeyRecord) => ({
  keyId: key.id(),
  publicKey: base64(key.publicKey().serialize()),
})

/** A signed pre-key, EC or Kyber. */
export const signedJson = (key: LS.SignedPublicPreKey | LS.SignedKyberPublicPreKey) => ({
  keyId: key.id(),
  publicKey: base64(key.publicKey().serialize()),
  signature: base64(key.signature()),
})
