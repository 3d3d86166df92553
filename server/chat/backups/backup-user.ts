// Who uses a backup: nobody that we know, with a credential of the day, and the key that was set for the backup.
import { createHash } from 'node:crypto'
import { PublicKey } from '@signalapp/libsignal-client'
import {
  BackupAuthCredentialPresentation,
  BackupCredentialType,
  BackupLevel,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Clock } from '../../kit/clock.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Issuer } from '../credentials/issuer.ts'
import type { BackupStore, StoredBackup } from './store.ts'

/** A presentation of a credential, and its signature by the backup's key. */
export type SignedPresentation = {
  readonly presentation: Uint8Array | undefined
  readonly signature: Uint8Array | undefined
}

export type Shown = {
  readonly idHash: Uint8Array
  readonly type: BackupCredentialType
  readonly level: BackupLevel
}
export type BackupUser = Shown & { readonly backup: StoredBackup }

const ID_HASH_BYTES = 16
/** Proofs that are verified at a time: strangers must not fill the threads that issue credentials. */
const MAX_VERIFYING = 64

export class BackupUsers {
  readonly #store: BackupStore
  readonly #issuer: Issuer
  readonly #clock: Clock
  #verifying = 0

  constructor(store: BackupStore, issuer: Issuer, clock: Clock) {
    this.#store = store
    this.#issuer = issuer
    this.#clock = clock
  }

  /** Nothing, if the credential or the signature is not right, or the backup has no key yet: nobody learns which. */
  async authenticate(signed: SignedPresentation): Promise<BackupUser | undefined> {
    const shown = read(signed)
    const backup = shown && (await this.#store.find(shown.idHash))
    if (!backup) return undefined
    return (await this.#verify(signed, PublicKey.deserialize(own(backup.publicKey))))
      ? { ...shown, backup }
      : undefined
  }

  /** The same for a key that is about to be set. */
  async prove(signed: SignedPresentation, publicKey: PublicKey): Promise<Shown | undefined> {
    const shown = read(signed)
    return shown && (await this.#verify(signed, publicKey)) ? shown : undefined
  }

  /** The signature first: it costs a tenth. Refuses (503) when too many are at it. */
  async #verify({ presentation, signature }: SignedPresentation, key: PublicKey): Promise<boolean> {
    if (!presentation || !signature || !key.verify(own(presentation), own(signature))) return false
    if (this.#verifying >= MAX_VERIFYING) throw new Refusal('unavailable')
    this.#verifying++
    return this.#issuer.backupShown(presentation, this.#clock.nowMs()).finally(() => this.#verifying--)
  }
}

/** libsignal wants bytes with a buffer of their own. */
const own = (bytes: Uint8Array) => new Uint8Array(bytes)

/** What a presentation says of itself, not verified. Refuses (400) a call that shows none. */
function read({ presentation, signature }: SignedPresentation): Shown | undefined {
  if (!presentation || !signature)
    throw new Refusal('bad-request', { field: 'signed_presentation', message: 'must be present' })
  try {
    const parsed = new BackupAuthCredentialPresentation(own(presentation))
    const id = createHash('sha256').update(parsed.getBackupId()).digest()
    return {
      idHash: new Uint8Array(id.subarray(0, ID_HASH_BYTES)),
      type: parsed.getType(),
      level: parsed.getBackupLevel(),
    }
  } catch {
    return undefined
  }
}

/** Refuses (403) a credential of the other kind. */
export function mustBe(user: BackupUser, type: BackupCredentialType): void {
  if (user.type !== type)
    throw new Refusal('forbidden', { message: 'a credential of the other kind is needed' })
}

/** Refuses (403) who may not keep media. */
export function mustKeepMedia(user: BackupUser): void {
  if (user.level < BackupLevel.Paid) throw new Refusal('forbidden', { message: 'a higher level is needed' })
  mustBe(user, BackupCredentialType.Media)
}
