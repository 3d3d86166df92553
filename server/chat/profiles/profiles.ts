// Profiles: written by the account's devices, read by those who may reach it (signal-api §2.14).

import { createHash } from 'node:crypto'
import { ProfileKeyCommitment } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Access } from '../../../wire/route.ts'
import type { Aci, DeviceAddress, ServiceId } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS, startOfDay } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { PostForm, PostPolicy } from '../../kit/post-policy.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { outcomesOf, type Statement } from '../../kit/sql/sql.ts'
import { type Account, hasCapability } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Admitted, UnidentifiedAccess } from '../accounts/unidentified-access.ts'
import type { Issuer } from '../credentials/issuer.ts'
import { newAvatar, unwantedFrom } from './avatars.ts'
import { etagOf } from './etag.ts'
import {
  type AvatarChange,
  type FoundAccount,
  type FoundProfile,
  type ProfileV2Write,
  type ProfileVersion,
  type ProfileWrite,
  type Refused,
  type StoredProfile,
  shownPaymentAddress,
} from './profile.ts'
import type { ProfileStore } from './store.ts'

export const MAX_AVATAR_BYTES = 10 * 1024 * 1024
const CREDENTIAL_TYPE = 'expiringProfileKey'
const CREDENTIAL_DAYS = 7
/** For so long the avatar of an account that registered anew is kept: who restores it has only its name. */
export const KEEP_AVATAR_MS = 30 * DAY_MS

export type ProfilesOptions = {
  readonly store: ProfileStore
  readonly accounts: Accounts
  readonly access: UnidentifiedAccess
  readonly issuer: Pick<Issuer, 'profileKey'>
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly policy: PostPolicy
}

/** The form is there if an avatar was announced. */
export type Set = { readonly kind: 'set'; readonly form: PostForm | undefined }
export type SetV2 = Set | { readonly kind: 'capability-missing' | 'version-conflict' | 'data-conflict' }
export type FoundCredential = FoundProfile & { readonly credential: Uint8Array | undefined }

/** A profile of the second kind. */
export type ShownData = {
  readonly kind: 'data'
  readonly account: Account
  readonly data: Uint8Array
  readonly paymentAddress: Uint8Array | undefined
  readonly etag: Uint8Array | undefined
}
export type Shown =
  | ShownData
  | { readonly kind: 'fields'; readonly account: Account; readonly profile: StoredProfile }
  | { readonly kind: 'matched' }
  | Refused

export class Profiles {
  readonly #options: ProfilesOptions

  constructor(options: ProfilesOptions) {
    this.#options = options
  }

  /** Makes the version the current one. `superseded`: the account's devices write profiles of the second kind. */
  async set(caller: DeviceAddress, write: ProfileWrite): Promise<Set | { readonly kind: 'superseded' }> {
    checkCommitment(write.commitment)
    const { store } = this.#options
    const { version } = write
    const avatar = this.#avatar(write.avatar)
    let superseded = false
    const decide = (account: Account) => {
      superseded = writesV2(account)
      if (superseded) return []
      return [
        store.commit(account.aci, version, write.commitment),
        store.setFields(account.aci, version, write.fields),
        ...avatar.statements(account.aci, version),
        store.dropData(account.aci),
        store.makeCurrent(account.aci, version),
      ]
    }
    await this.#write(caller, decide)
    return superseded ? { kind: 'superseded' } : { kind: 'set', form: avatar.form }
  }

  /** All or nothing, and only if what was there is what the caller expects. */
  async setV2(caller: DeviceAddress, write: ProfileV2Write): Promise<SetV2> {
    checkCommitment(write.commitment)
    const { store, accounts } = this.#options
    const { version, data } = write
    const avatar = this.#avatar(write.avatar)
    const hash = createHash('sha256').update(data).digest()
    let capable = false
    const written = await accounts.writeBy(caller, (account) => {
      capable = writesV2(account)
      if (!capable) return []
      return [
        store.moveCurrent(account.aci, version, write.expectedVersion),
        store.commitSame(account.aci, version, write.commitment),
        store.setData(account.aci, version, { data, hash }, write.expectedDataHash),
        store.setFields(account.aci, version, write.fields),
        ...avatar.statements(account.aci, version),
      ]
    })
    if (!capable) return { kind: 'capability-missing' }
    if (written.ok) return { kind: 'set', form: avatar.form }
    if (written.unmet === 0) return { kind: 'version-conflict' }
    if (written.unmet === 2) return { kind: 'data-conflict' }
    throw new Refusal('invalid', { field: 'commitment', message: 'must be that of the first write' })
  }

  /** Announces an avatar for a version. Refuses (422) a new version without a commitment. */
  async setAvatar(
    caller: DeviceAddress,
    version: ProfileVersion,
    commitment: Uint8Array | undefined,
  ): Promise<PostForm> {
    if (commitment) checkCommitment(commitment)
    const { store, accounts, random, policy, clock } = this.#options
    const { key, form } = newAvatar(random, policy, MAX_AVATAR_BYTES)
    const written = await accounts.writeBy(caller, ({ aci }) => [
      commitment ? store.commit(aci, version, commitment) : store.exists(aci, version),
      ...store.setAvatar(aci, version, key, unwantedFrom(clock)),
    ])
    if (written.ok) return form
    throw new Refusal('invalid', { field: 'commitment', message: 'is needed for a new version' })
  }

  /** The account alone, by either identity. */
  async find(access: Access, id: ServiceId): Promise<FoundAccount | Refused> {
    const reached = await this.#reach(access, id)
    return reached.kind === 'admitted' ? { kind: 'found', account: reached.target } : reached
  }

  async read(access: Access, aci: Aci, version: ProfileVersion): Promise<FoundProfile | Refused> {
    const found = await this.find(access, aci)
    if (found.kind !== 'found') return found
    return { ...found, profile: await this.#options.store.read(aci, version) }
  }

  /**
   * With a credential for the profile key that the request is about, if the version is the current one. Refuses (400)
   * another type of credential, and a request that is none or is not about the committed profile key.
   */
  async readWithCredential(
    access: Access,
    aci: Aci,
    version: ProfileVersion,
    type: string | undefined,
    request: Uint8Array,
  ): Promise<FoundCredential | Refused> {
    if (type !== CREDENTIAL_TYPE) throw new Refusal('bad-request')
    const found = await this.read(access, aci, version)
    if (found.kind !== 'found') return found
    const { profile } = found
    const credential = profile?.isCurrent ? await this.#issue(aci, profile, request) : undefined
    return { ...found, credential }
  }

  /**
   * What a client of the second kind reads: the one ciphertext, or the fields where there is none. `matched`: the tag is
   * still that of the profile.
   */
  async show(access: Access, aci: Aci, version: ProfileVersion, tag: Uint8Array | undefined): Promise<Shown> {
    const found = await this.read(access, aci, version)
    if (found.kind !== 'found') return found
    const { account, profile } = found
    if (!profile) return { kind: 'not-found' }
    const data = writesV2(account) ? profile.data : undefined
    if (!data) return { kind: 'fields', account, profile }
    const paymentAddress = shownPaymentAddress(profile)
    const etag = await etagOf(account, data, paymentAddress)
    if (tag && etag && Buffer.compare(tag, etag) === 0) return { kind: 'matched' }
    return { kind: 'data', account, data, paymentAddress, etag }
  }

  deleted({ aci }: Account): Statement[] {
    return this.#options.store.clear(aci, unwantedFrom(this.#options.clock))
  }

  replaced({ aci }: Account): Statement[] {
    return this.#options.store.clear(aci, this.#options.clock.nowMs() + KEEP_AVATAR_MS)
  }

  async #write(caller: DeviceAddress, decide: (account: Account) => readonly Statement[]): Promise<void> {
    outcomesOf(await this.#options.accounts.writeBy(caller, decide))
  }

  async #reach(access: Access, id: ServiceId): Promise<Admitted> {
    const { accounts, limits, access: unidentified } = this.#options
    if (access.kind !== 'device') return unidentified.admit(access, id, await accounts.find(id))
    await limits.take('profile', access.device.aci)
    const target = await accounts.find(id)
    return target ? { kind: 'admitted', target } : { kind: 'not-found' }
  }

  async #issue(aci: Aci, { commitment }: StoredProfile, request: Uint8Array): Promise<Uint8Array> {
    const { issuer, clock } = this.#options
    const expiresAtMs = startOfDay(clock.nowMs() + CREDENTIAL_DAYS * DAY_MS)
    const credential = await issuer.profileKey(request, aci, commitment, expiresAtMs / 1000)
    if (credential) return credential
    throw new Refusal('bad-request')
  }

  /** What a change of the avatar writes, and the form for a new one. */
  #avatar(change: AvatarChange) {
    const { store, clock, random, policy } = this.#options
    if (change === 'unchanged') return { form: undefined, statements: () => [] }
    const fresh = change === 'update' ? newAvatar(random, policy, MAX_AVATAR_BYTES) : undefined
    const statements = (aci: Aci, version: ProfileVersion) =>
      store.setAvatar(aci, version, fresh?.key, unwantedFrom(clock))
    return { form: fresh?.form, statements }
  }
}

export const writesV2 = (account: Account): boolean => hasCapability(account, 'profiles_v2', 'all')

function checkCommitment(bytes: Uint8Array): void {
  try {
    new ProfileKeyCommitment(new Uint8Array(bytes))
  } catch {
    throw new Refusal('invalid', { field: 'commitment', message: 'must be a commitment' })
  }
}
