// The key that an account's zero-knowledge credentials are bound to (signal-api §2.28).
import { ZkCredentialPublicKey } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Aci, DeviceAddress } from '../../../wire/types.ts'
import type { Limits } from '../../kit/limits.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { outcomesOf, type Sql, type Statement } from '../../kit/sql/sql.ts'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import { type ZkCredentialKey, ZkCredentialKeyStore } from './zk-credential-key-store.ts'

export type ZkCredentialKeysOptions = {
  readonly sql: Sql
  readonly accounts: Accounts
  readonly limits: Limits
  readonly random: Random
}

export class ZkCredentialKeys {
  readonly #store: ZkCredentialKeyStore
  readonly #accounts: Accounts
  readonly #limits: Limits
  readonly #random: Random

  constructor(options: ZkCredentialKeysOptions) {
    this.#store = new ZkCredentialKeyStore(options.sql)
    this.#accounts = options.accounts
    this.#limits = options.limits
    this.#random = options.random
  }

  of(aci: Aci): Promise<ZkCredentialKey | undefined> {
    return this.#store.read(aci)
  }

  /** Gives the key's rotation id. Only another key than the one that is there meets the limiter. */
  async set(caller: DeviceAddress, publicKey: Uint8Array): Promise<number> {
    checkPublicKey(publicKey)
    const known = await this.#store.read(caller.aci)
    if (known && Buffer.compare(known.publicKey, publicKey) === 0) return known.rotationId
    await this.#limits.take('setZkCredentialKey', caller.aci)
    const fresh = { publicKey, rotationId: this.#newRotationId() }
    const written = await this.#accounts.writeBy(caller, ({ aci }) => [this.#store.set(aci, fresh)])
    return outcomesOf(written)[0]!.rows[0]!['rotation_id'] as number
  }

  deleted({ aci }: Account): Statement[] {
    return [this.#store.clear(aci)]
  }

  /** 48 random bits, never 0: clients get it as an unsigned number of 64 bits. */
  #newRotationId(): number {
    return this.#random.bytes(6).readUIntBE(0, 6) + 1
  }
}

function checkPublicKey(bytes: Uint8Array): void {
  try {
    new ZkCredentialPublicKey(new Uint8Array(bytes))
  } catch {
    throw new Refusal('invalid', { field: 'public_key', message: 'must be a public key' })
  }
}
