// libsignal's stores in memory, one set for each identity of a device.
import * as LS from '@signalapp/libsignal-client'
import type { IdentityKeys } from './identity-keys.ts'

const keyOf = (address: LS.ProtocolAddress) => `${address.name()}.${address.deviceId()}`

function got<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`there is no ${what}`)
  return value
}

export class Sessions extends LS.SessionStore {
  readonly #records = new Map<string, LS.SessionRecord>()

  override async saveSession(address: LS.ProtocolAddress, record: LS.SessionRecord): Promise<void> {
    this.#records.set(keyOf(address), record)
  }

  override async getSession(address: LS.ProtocolAddress): Promise<LS.SessionRecord | null> {
    return this.#records.get(keyOf(address)) ?? null
  }

  override async getExistingSessions(addresses: LS.ProtocolAddress[]): Promise<LS.SessionRecord[]> {
    return addresses.map((address) =>
      got(this.#records.get(keyOf(address)), `session with ${keyOf(address)}`),
    )
  }

  forget(address: LS.ProtocolAddress): void {
    this.#records.delete(keyOf(address))
  }
}

/** Trusts an identity on first use, and whatever replaces it. */
export class Identities extends LS.IdentityKeyStore {
  readonly #own: IdentityKeys
  readonly #known = new Map<string, LS.PublicKey>()

  constructor(own: IdentityKeys) {
    super()
    this.#own = own
  }

  override async getIdentityKey(): Promise<LS.PrivateKey> {
    return this.#own.pair.privateKey
  }

  override async getLocalRegistrationId(): Promise<number> {
    return this.#own.registrationId
  }

  override async saveIdentity(address: LS.ProtocolAddress, key: LS.PublicKey): Promise<LS.IdentityChange> {
    const before = this.#known.get(keyOf(address))
    this.#known.set(keyOf(address), key)
    const same = before === undefined || before.equals(key)
    return same ? LS.IdentityChange.NewOrUnchanged : LS.IdentityChange.ReplacedExisting
  }

  override async isTrustedIdentity(): Promise<boolean> {
    return true
  }

  override async getIdentity(address: LS.ProtocolAddress): Promise<LS.PublicKey | null> {
    return this.#known.get(keyOf(address)) ?? null
  }
}

export class PreKeys extends LS.PreKeyStore {
  readonly #records = new Map<number, LS.PreKeyRecord>()

  override async savePreKey(id: number, record: LS.PreKeyRecord): Promise<void> {
    this.#records.set(id, record)
  }

  override async getPreKey(id: number): Promise<LS.PreKeyRecord> {
    return got(this.#records.get(id), `pre-key ${id}`)
  }

  override async removePreKey(id: number): Promise<void> {
    this.#records.delete(id)
  }
}

export class SignedPreKeys extends LS.SignedPreKeyStore {
  readonly #records = new Map<number, LS.SignedPreKeyRecord>()

  override async saveSignedPreKey(id: number, record: LS.SignedPreKeyRecord): Promise<void> {
    this.#records.set(id, record)
  }

  override async getSignedPreKey(id: number): Promise<LS.SignedPreKeyRecord> {
    return got(this.#records.get(id), `signed pre-key ${id}`)
  }
}

export class KyberPreKeys extends LS.KyberPreKeyStore {
  readonly #records = new Map<number, LS.KyberPreKeyRecord>()
  /** Ids of one-time keys; the last-resort key is not among them. */
  readonly #oneTime = new Set<number>()

  override async saveKyberPreKey(id: number, record: LS.KyberPreKeyRecord): Promise<void> {
    this.#records.set(id, record)
  }

  saveOneTime(record: LS.KyberPreKeyRecord): void {
    this.#oneTime.add(record.id())
    this.#records.set(record.id(), record)
  }

  override async getKyberPreKey(id: number): Promise<LS.KyberPreKeyRecord> {
    return got(this.#records.get(id), `Kyber pre-key ${id}`)
  }

  override async markKyberPreKeyUsed(id: number): Promise<void> {
    if (this.#oneTime.delete(id)) this.#records.delete(id)
  }
}

/** Everything that one identity needs to hold conversations. */
export class Stores {
  readonly sessions = new Sessions()
  readonly identities: Identities
  readonly preKeys = new PreKeys()
  readonly signedPreKeys = new SignedPreKeys()
  readonly kyberPreKeys = new KyberPreKeys()

  constructor(own: IdentityKeys) {
    this.identities = new Identities(own)
    void this.signedPreKeys.saveSignedPreKey(own.signedPreKey.id(), own.signedPreKey)
    void this.kyberPreKeys.saveKyberPreKey(own.lastResortPreKey.id(), own.lastResortPreKey)
  }
}
