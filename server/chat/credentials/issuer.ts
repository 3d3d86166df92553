// Issues zero-knowledge credentials, and looks at those that are shown, without holding up the event loop.
import type { BackupCredentialType, BackupLevel } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Aci, Pni } from '../../../wire/types.ts'
import type { Secrets } from '../../kit/secrets.ts'
import { WorkerPool } from '../../kit/worker-pool.ts'
import type { Dated, Issuing, IssuingSecrets } from './issuing.ts'

export type { Dated }

type Bytes = Uint8Array<ArrayBuffer>
/** Seconds since 1970 at the start of a day (UTC): zkgroup takes no other time. */
type Day = number

type IssuerOptions = {
  readonly secrets: Pick<
    Secrets,
    'serverSecretParams' | 'genericServerSecretParams' | 'backupServerSecretParams'
  >
  readonly onBug: (error: unknown, where: string) => void
}

/** A copy of its own: cloning a view to a thread would clone all of the buffer that it looks into. */
const own = (bytes: Uint8Array): Bytes => new Uint8Array(bytes)

/**
 * Every call takes milliseconds, in a thread. Throws `Refusal('unavailable')` if too many wait.
 * Where nothing comes back, the client's request was no such request, or its proof does not hold.
 */
export class Issuer {
  readonly #pool: WorkerPool<Issuing>

  constructor({ secrets, onBug }: IssuerOptions) {
    const data: IssuingSecrets = {
      server: secrets.serverSecretParams.serialize(),
      calling: secrets.genericServerSecretParams.serialize(),
      chat: secrets.backupServerSecretParams.serialize(),
    }
    const module = new URL('./issuing.ts', import.meta.url)
    this.#pool = new WorkerPool({ module, data, onDeath: (cause) => onBug(cause, 'credentials: issuing') })
  }

  groupAuth(aci: Aci, pni: Pni, days: readonly Day[]): Promise<Dated[]> {
    return this.#pool.call('groupAuth', aci, pni, days)
  }

  /** For an account without a number; the salt is the account's own. */
  groupAuthWithoutPni(aci: Aci, salt: Uint8Array, days: readonly Day[]): Promise<Dated[]> {
    return this.#pool.call('groupAuthWithoutPni', aci, own(salt), days)
  }

  /** `expirationSeconds`: at the start of a day (UTC), or clients refuse it. */
  receipt(request: Uint8Array, expirationSeconds: Day, level: bigint): Promise<Bytes | undefined> {
    return this.#pool.call('receipt', own(request), expirationSeconds, level)
  }

  callLinkAuth(aci: Aci, days: readonly Day[]): Promise<Dated[]> {
    return this.#pool.call('callLinkAuth', aci, days)
  }

  createCallLink(request: Uint8Array, aci: Aci, day: Day): Promise<Bytes | undefined> {
    return this.#pool.call('createCallLink', own(request), aci, day)
  }

  /** `expirationSeconds`: at the start of a day (UTC), at most seven days away, or clients refuse it. */
  profileKey(
    request: Uint8Array,
    aci: Aci,
    commitment: Uint8Array,
    expirationSeconds: Day,
  ): Promise<Bytes | undefined> {
    return this.#pool.call('profileKey', own(request), aci, own(commitment), expirationSeconds)
  }

  /** The request must have been looked at when it was stored: one that is none is a bug here, and thrown. */
  backupAuth(
    request: Uint8Array,
    level: BackupLevel,
    type: BackupCredentialType,
    days: readonly Day[],
  ): Promise<Dated[]> {
    return this.#pool.call('backupAuth', own(request), level, type, days)
  }

  avatarUpload(
    request: Uint8Array,
    aci: Aci,
    zkCredentialKey: Uint8Array,
    rotationId: bigint,
    day: Day,
  ): Promise<Bytes | undefined> {
    return this.#pool.call('avatarUpload', own(request), aci, own(zkCredentialKey), rotationId, day)
  }

  /** Whether an avatar's credential is one of ours, and of these days. */
  avatarShown(presentation: Uint8Array, nowMs: number): Promise<boolean> {
    return this.#pool.call('avatarShown', own(presentation), nowMs)
  }

  /** Whether a backup's credential is one of ours, and of these days. */
  backupShown(presentation: Uint8Array, nowMs: number): Promise<boolean> {
    return this.#pool.call('backupShown', own(presentation), nowMs)
  }

  /** Whether a receipt is one of ours; its expiry is not looked at. */
  receiptShown(presentation: Uint8Array): Promise<boolean> {
    return this.#pool.call('receiptShown', own(presentation))
  }

  /** Whether a group send token was given for exactly these, and has not expired. */
  groupSendToken(token: Uint8Array, ids: readonly string[], nowMs: number): Promise<boolean> {
    return this.#pool.call('groupSendToken', own(token), ids, nowMs)
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}
