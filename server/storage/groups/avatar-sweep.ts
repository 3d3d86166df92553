// Pictures of groups that no group names any more, or never did, are removed; one that is named never is.
import type { Clock } from '../../kit/clock.ts'
import { DAY_MS } from '../../kit/days.ts'
import { POST_POLICY_VALID_MS } from '../../kit/post-policy.ts'
import type { StoredObjects } from '../../kit/stored-objects.ts'
import type { DoubtfulAvatar, DoubtfulAvatarStore } from './doubtful-avatar-store.ts'
import { Group } from './messages.ts'
import type { GroupStore } from './store.ts'

/** Between the upload of a picture and the change that names it. */
export const NAMED_WITHIN_MS = DAY_MS
/** By then a form that was given out now is of no use, and the change that names its picture came. */
export const doubtfulFrom = (clock: Clock): number => clock.nowMs() + POST_POLICY_VALID_MS + NAMED_WITHIN_MS

const AGAIN_AFTER_MS = 3_600_000
const BATCH = 100

export type AvatarSweepOptions = {
  readonly groups: Pick<GroupStore, 'find'>
  readonly doubtful: DoubtfulAvatarStore
  readonly clock: Clock
  /** Without it, what is doubtful waits. */
  readonly objects: StoredObjects | undefined
  readonly onBug: (error: unknown, where: string) => void
}

export class GroupAvatarSweep {
  readonly #options: AvatarSweepOptions

  constructor(options: AvatarSweepOptions) {
    this.#options = options
  }

  async sweep(closing?: AbortSignal): Promise<void> {
    const { objects } = this.#options
    while (objects && !closing?.aborted && (await this.#sweepSome(objects)) === BATCH);
  }

  async #sweepSome(objects: StoredObjects): Promise<number> {
    const { doubtful, clock, onBug } = this.#options
    const due = await doubtful.due(clock.nowMs(), BATCH)
    for (const avatar of due) {
      try {
        await this.#decide(avatar, objects)
      } catch (error) {
        onBug(error, 'groups.avatars')
        await doubtful.postpone(avatar, clock.nowMs() + AGAIN_AFTER_MS)
      }
    }
    return due.length
  }

  /** Claimed first: the group that is read afterwards is the last that could have named it. */
  async #decide(avatar: DoubtfulAvatar, objects: StoredObjects): Promise<void> {
    const { groups, doubtful, clock } = this.#options
    if (!(await doubtful.claim(avatar, clock.nowMs()))) return
    const state = await groups.find(avatar.groupId)
    const isNamed = state !== undefined && Group.decode(state).avatarUrl === avatar.objectKey
    if (!isNamed) await objects.delete(avatar.objectKey)
    await doubtful.forget(avatar)
  }
}
