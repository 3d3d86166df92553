import type { Credentials } from '../../../wire/route.ts'
import type { Clock } from '../../kit/clock.ts'
import type { PostForm, PostPolicy } from '../../kit/post-policy.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { doubtfulFrom } from './avatar-sweep.ts'
import type { DoubtfulAvatarStore } from './doubtful-avatar-store.ts'
import { mayModifyAttributes } from './standing.ts'
import type { Visit, Visits } from './visits.ts'

const MAX_AVATAR_BYTES = 3 * 1024 * 1024
const NAME_BYTES = 16

export type GroupAvatarsOptions = {
  readonly visits: Visits
  readonly policy: PostPolicy
  readonly random: Random
  readonly clock: Clock
  readonly doubtful: DoubtfulAvatarStore
}

/** Permission to upload the picture of a group, one for each picture; which one is the group's is said in a change. */
export class GroupAvatars {
  readonly #options: GroupAvatarsOptions

  constructor(options: GroupAvatarsOptions) {
    this.#options = options
  }

  /** A group that is yet to be created may have a picture from the start. */
  async form(credentials: Credentials): Promise<PostForm> {
    const { visits, policy, random, clock, doubtful } = this.#options
    const caller = await visits.author(credentials)
    const visit = await visits.at(caller)
    if (visit && !mayChange(visit)) throw new Refusal('forbidden')
    const name = Buffer.from(random.bytes(NAME_BYTES)).toString('base64url')
    const folder = Buffer.from(caller.groupId).toString('base64url')
    const objectKey = `groups/${folder}/${name}`
    await doubtful.begin({ groupId: caller.groupId, objectKey }, doubtfulFrom(clock))
    return policy.formFor(objectKey, { maxBytes: MAX_AVATAR_BYTES })
  }
}

const mayChange = ({ group, standing }: Visit): boolean =>
  !group.terminated && mayModifyAttributes(group, standing)
