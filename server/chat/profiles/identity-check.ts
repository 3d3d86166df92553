// Tells a client which of the identity keys that it knows are not the right ones any more (signal-api §2.14).
import { createHash } from 'node:crypto'
import type { ServiceId } from '../../../wire/types.ts'
import type { Limits } from '../../kit/limits.ts'
import { identityKeyOf, identityOf } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'

/** So many accounts are looked up at once. */
const BATCH = 50
/** So many cost as much as one request of the list's kind, which takes no more. */
const PER_PERMIT = 1_000
export const FINGERPRINT_BYTES = 4

export type Fingerprint = { readonly id: ServiceId; readonly fingerprint: Uint8Array }
export type Identity = { readonly id: ServiceId; readonly identityKey: Uint8Array }

export class IdentityCheck {
  readonly #accounts: Accounts
  readonly #limits: Limits

  constructor(accounts: Accounts, limits: Limits) {
    this.#accounts = accounts
    this.#limits = limits
  }

  /** Only what differs; nobody's identity is like one that agrees. Refuses (429) where one address asks too often. */
  async mismatches(known: readonly Fingerprint[], remoteAddress: string): Promise<Identity[]> {
    await this.#limits.take('batchIdentityCheck', remoteAddress)
    const found: Identity[] = []
    for (let start = 0; start < known.length; start += BATCH) {
      const batch = await Promise.all(known.slice(start, start + BATCH).map((one) => this.#mismatch(one)))
      found.push(...batch.filter((one) => one !== undefined))
    }
    return found
  }

  /** The same as `mismatches`, one after the other, for as long as there are more. */
  async *differing(known: AsyncIterable<Fingerprint>, remoteAddress: string): AsyncGenerator<Identity> {
    let count = 0
    for await (const one of known) {
      if (count++ % PER_PERMIT === 0) await this.#limits.take('batchIdentityCheck', remoteAddress)
      const mismatch = await this.#mismatch(one)
      if (mismatch) yield mismatch
    }
  }

  async #mismatch({ id, fingerprint }: Fingerprint): Promise<Identity | undefined> {
    const account = await this.#accounts.find(id)
    if (!account) return undefined
    const identityKey = identityKeyOf(account, identityOf(id))
    return sameFingerprint(identityKey, fingerprint) ? undefined : { id, identityKey }
  }
}

/** The first bytes of the SHA-256 of the serialized key. Both sides are public. */
function sameFingerprint(identityKey: Uint8Array, fingerprint: Uint8Array): boolean {
  const digest = createHash('sha256').update(identityKey).digest()
  return Buffer.compare(digest.subarray(0, FINGERPRINT_BYTES), fingerprint) === 0
}
