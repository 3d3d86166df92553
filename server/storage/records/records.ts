// An account's encrypted records: a manifest that lists them, and the records themselves. Whoever reads a manifest finds
// the records of its version; a write that comes too late changes nothing.

import { MAX_RECORD_KEYS } from '../../../wire/limits.ts'
import type { Credentials } from '../../../wire/route.ts'
import { type Aci, parseAci } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import type { ExternalServiceCredentials } from '../../kit/external-credentials.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { StorageEvents } from '../events.ts'
import type { Item, Manifest, RecordStore, RecordsWrite } from './store.ts'

export type WriteRequest = {
  readonly manifest: Manifest | undefined
  readonly inserts: readonly Item[]
  readonly deletes: readonly Uint8Array[]
  /** What was stored before goes. */
  readonly clearAll: boolean
}
export type WriteOutcome =
  | { readonly kind: 'written' }
  | { readonly kind: 'conflict'; readonly current: Manifest }

export type RecordsOptions = {
  readonly store: RecordStore
  readonly credentials: ExternalServiceCredentials
  readonly clock: Clock
  readonly events: StorageEvents
}

const CREDENTIALS_MS = DAY_MS
/** An insertion counts twice: what it replaces has to go. */
const MAX_CHANGES = 100_000
const MAX_KEY_BYTES = 128
const MAX_VALUE_BYTES = 128 * 1024
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
/** Of the records that one question may ask for. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

type Owner = { readonly aci: Aci; readonly issuedAtMs: number }

export class Records {
  readonly #options: RecordsOptions

  constructor(options: RecordsOptions) {
    this.#options = options
  }

  async manifest(credentials: Credentials): Promise<Manifest | undefined> {
    const { aci } = await this.#owner(credentials)
    return this.#options.store.manifest(aci)
  }

  /** The manifest, unless it is of the version that the caller knows. */
  async newerManifest(credentials: Credentials, known: number): Promise<Manifest | undefined> {
    const manifest = await this.manifest(credentials)
    return manifest?.version === known ? undefined : manifest
  }

  /** Those that there are, in no order. */
  async read(credentials: Credentials, keys: readonly Uint8Array[]): Promise<Item[]> {
    const { aci } = await this.#owner(credentials)
    if (keys.length === 0) throw new Refusal('bad-request')
    if (keys.length > MAX_RECORD_KEYS) throw new Refusal('too-large')
    const found: Item[] = []
    let bytes = 0
    for await (const items of this.#options.store.items(aci, distinct(keys))) {
      for (const { value } of items) bytes += value.length
      if (bytes > MAX_ANSWER_BYTES) throw new Refusal('too-large')
      found.push(...items)
    }
    return found
  }

  /**
   * Stores a manifest and its records, if its version follows the stored one, or none is stored. Of writers who know the
   * same version one wins; the others are told what is stored, and nothing of theirs is.
   */
  async write(credentials: Credentials, request: WriteRequest): Promise<WriteOutcome> {
    const { store, events } = this.#options
    const { aci, issuedAtMs } = await this.#owner(credentials)
    const written = await store.write(aci, issuedAtMs, checked(request))
    if (written === 'owner-deleted') throw new Refusal('invalid-credentials')
    events.recordsWritten(written === 'written')
    if (written === 'written') return { kind: 'written' }
    const current = await store.manifest(aci)
    // Somebody cleared it in between; a second attempt will do.
    if (!current) throw new Refusal('unavailable')
    return { kind: 'conflict', current }
  }

  async clear(credentials: Credentials): Promise<void> {
    const { aci, issuedAtMs } = await this.#owner(credentials)
    const cleared = await this.#options.store.clear(aci, issuedAtMs)
    if (cleared !== 'written') throw new Refusal('invalid-credentials')
  }

  /** Called with an account that goes: so do its records, and those to come by credentials that it had. */
  deleted({ aci }: { readonly aci: Aci }): readonly Statement[] {
    return this.#options.store.deleted(aci, this.#options.clock.nowMs())
  }

  /** Forgets whose accounts were deleted when no credentials from before are valid any more. */
  async forgetDeleted(): Promise<void> {
    await this.#options.store.forgetDeleted(this.#options.clock.nowMs() - CREDENTIALS_MS - 1000)
  }

  /** Whether the credentials are ours and not too old. */
  knows(credentials: Credentials): boolean {
    return this.#shown(credentials) !== undefined
  }

  #shown(credentials: Credentials): Owner | undefined {
    const aci = parseAci(credentials.username)
    const issuedAtMs = this.#options.credentials.issuedAtMs(credentials)
    if (aci === undefined || issuedAtMs === undefined) return undefined
    return this.#options.clock.nowMs() - issuedAtMs <= CREDENTIALS_MS ? { aci, issuedAtMs } : undefined
  }

  /** Whose the credentials are; refuses (401) those that are not ours, too old, or from before the account was deleted. */
  async #owner(credentials: Credentials): Promise<Owner> {
    const owner = this.#shown(credentials)
    if (!owner || (await this.#options.store.isOwnerDeleted(owner.aci, owner.issuedAtMs)))
      throw new Refusal('invalid-credentials')
    return owner
  }
}

/** Refuses what is no write (400) or too large a one (413). What is both removed and stored is stored. */
function checked({ manifest, inserts, deletes, clearAll }: WriteRequest): RecordsWrite {
  if (!manifest || !Number.isSafeInteger(manifest.version)) throw new Refusal('bad-request')
  const keys = [...inserts.map(({ key }) => key), ...deletes]
  if (keys.some((key) => key.length === 0)) throw new Refusal('bad-request')
  const isTooLarge =
    inserts.length * 2 + deletes.length > MAX_CHANGES ||
    manifest.value.length > MAX_MANIFEST_BYTES ||
    keys.some((key) => key.length > MAX_KEY_BYTES) ||
    inserts.some(({ value }) => value.length > MAX_VALUE_BYTES)
  if (isTooLarge) throw new Refusal('too-large')
  const stored = new Map(inserts.map((item) => [textOf(item.key), item]))
  return { manifest, inserts: [...stored.values()], deletes: distinct(deletes), clearAll }
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1')
const distinct = (keys: readonly Uint8Array[]): Uint8Array[] => [
  ...new Map(keys.map((key) => [textOf(key), key])).values(),
]
