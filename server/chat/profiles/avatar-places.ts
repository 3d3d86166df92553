// Avatars of profiles of the second kind: whoever shows a credential has the place that it names; the server never
// learns whose it is.

import { AvatarUploadCredentialPresentation } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { DeviceAddress } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS, startOfDay } from '../../kit/days.ts'
import type { Limits } from '../../kit/limits.ts'
import type { PostForm, PostPolicy } from '../../kit/post-policy.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Issuer } from '../credentials/issuer.ts'
import { type AvatarStore, newAvatar, unwantedFrom } from './avatars.ts'
import type { ProfileStore } from './store.ts'
import type { ZkCredentialKeys } from './zk-credential-keys.ts'

/** For so long a place is kept after it was last taken or extended: as long as an account that stays away. */
export const KEEP_PLACE_MS = 120 * DAY_MS

export type AvatarPlacesOptions = {
  readonly store: ProfileStore
  readonly zkKeys: ZkCredentialKeys
  readonly issuer: Pick<Issuer, 'avatarUpload' | 'avatarShown'>
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly policy: PostPolicy
  /** Without it, every avatar is taken to be where its form allowed it. */
  readonly avatars?: Pick<AvatarStore, 'exists'> | undefined
}

export class AvatarPlaces {
  readonly #options: AvatarPlacesOptions

  constructor(options: AvatarPlacesOptions) {
    this.#options = options
  }

  /** A credential for today's presentations; nothing if the account has set no key. Refuses (422) a wrong request. */
  async credential(caller: DeviceAddress, request: Uint8Array): Promise<Uint8Array | undefined> {
    const { zkKeys, issuer, clock } = this.#options
    const key = await zkKeys.of(caller.aci)
    if (!key) return undefined
    const day = startOfDay(clock.nowMs()) / 1000
    const rotationId = BigInt(key.rotationId)
    const credential = await issuer.avatarUpload(request, caller.aci, key.publicKey, rotationId, day)
    if (credential) return credential
    throw new Refusal('invalid', { field: 'avatar_credentials_request', message: 'must be a request' })
  }

  /**
   * A form for a new avatar of at most `bytes` in the place; nothing if the presentation does not hold.
   * Refuses (429) one place that is filled too often.
   */
  async uploadForm(presentation: Uint8Array, bytes: number): Promise<PostForm | undefined> {
    const place = await this.#placeOf(presentation)
    if (!place) return undefined
    const { store, limits, clock, random, policy } = this.#options
    await limits.take('profileAvatarBytes', Buffer.from(place).toString('base64'), bytes)
    const { key, form } = newAvatar(random, policy, bytes)
    await store.takePlace(place, key, clock.nowMs() + KEEP_PLACE_MS, unwantedFrom(clock))
    return form
  }

  async extend(presentation: Uint8Array): Promise<Extended> {
    const place = await this.#placeOf(presentation)
    if (!place) return { kind: 'refused' }
    const { store, clock, avatars } = this.#options
    const key = await store.extendPlace(place, clock.nowMs() + KEEP_PLACE_MS, clock.nowMs())
    const isThere = key !== undefined && (await avatars?.exists(key)) !== false
    return isThere ? { kind: 'extended', key } : { kind: 'not-found' }
  }

  /** False if the presentation does not hold. */
  async leave(presentation: Uint8Array): Promise<boolean> {
    const place = await this.#placeOf(presentation)
    if (place) await this.#options.store.leavePlace(place, unwantedFrom(this.#options.clock))
    return place !== undefined
  }

  /** The place that a presentation proves; refuses (422) what is none. */
  async #placeOf(presentation: Uint8Array): Promise<Uint8Array | undefined> {
    const place = readPlace(presentation)
    const { issuer, clock } = this.#options
    return (await issuer.avatarShown(presentation, clock.nowMs())) ? place : undefined
  }
}

export type Extended =
  | { readonly kind: 'extended'; readonly key: string }
  | { readonly kind: 'refused' | 'not-found' }

/** The place that a presentation names, not verified. */
function readPlace(presentation: Uint8Array): Uint8Array {
  try {
    return new AvatarUploadCredentialPresentation(new Uint8Array(presentation)).getCommitment()
  } catch {
    throw new Refusal('invalid', {
      field: 'avatar_credentials_presentation',
      message: 'must be a presentation',
    })
  }
}
