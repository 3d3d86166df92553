// Avatars as objects: their names, the forms to upload them by, and the removal of those that nobody names any more.
import type { Clock } from '../../kit/clock.ts'
import type { Housekeeping } from '../../kit/housekeeping.ts'
import type { PostForm, PostPolicy } from '../../kit/post-policy.ts'
import { POST_POLICY_VALID_MS } from '../../kit/post-policy.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { ProfileStore } from './store.ts'

const NAME_BYTES = 16
const SWEEP_EVERY_MS = 60 * 60_000
const BATCH = 100

/** Where avatars lie: the file store. */
export interface AvatarStore {
  /** Resolves if the object is not there any more; it may never have been. */
  delete(key: string): Promise<void>
  exists(key: string): Promise<boolean>
}

export const newAvatarKey = (random: Random): string =>
  `profiles/${random.bytes(NAME_BYTES).toString('base64url')}`

/** By then a form that was given out just now is of no use: an object removed earlier could be uploaded after it. */
export const unwantedFrom = (clock: Clock): number => clock.nowMs() + POST_POLICY_VALID_MS

/** A new object and the form to upload it by. */
export type NewAvatar = { readonly key: string; readonly form: PostForm }
export const newAvatar = (random: Random, policy: PostPolicy, maxBytes: number): NewAvatar => {
  const key = newAvatarKey(random)
  return { key, form: policy.formFor(key, { maxBytes }) }
}

export type AvatarSweepOptions = {
  readonly store: ProfileStore
  readonly clock: Clock
  /** Without it, what is unwanted waits. */
  readonly avatars: Pick<AvatarStore, 'delete'> | undefined
  readonly housekeeping: Housekeeping
  readonly onBug: (error: unknown, where: string) => void
}

/** Places that nobody extended are left, and objects that are due go. */
export class AvatarSweep {
  readonly #options: AvatarSweepOptions

  constructor(options: AvatarSweepOptions) {
    this.#options = options
    options.housekeeping.every(SWEEP_EVERY_MS, 'profiles.sweep', () => this.sweep())
  }

  async sweep(): Promise<void> {
    const { store, clock, avatars } = this.#options
    await store.expirePlaces(clock.nowMs())
    while (avatars && (await this.#remove(avatars)) === BATCH);
  }

  async #remove(avatars: Pick<AvatarStore, 'delete'>): Promise<number> {
    const { store, clock, onBug } = this.#options
    const keys = await store.unwanted(clock.nowMs(), BATCH)
    for (const key of keys) {
      try {
        await avatars.delete(key)
        await store.forgetUnwanted(key)
      } catch (error) {
        if (!(error instanceof Refusal)) onBug(error, 'profiles.sweep')
        await store.postponeUnwanted(key, clock.nowMs() + SWEEP_EVERY_MS)
      }
    }
    return keys.length
  }
}
