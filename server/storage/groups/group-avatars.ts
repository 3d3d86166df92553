import type { Credentials } from '../../../wire/route.ts'
import type { PostForm, PostPolicy } from '../../kit/post-policy.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { mayModifyAttributes } from './standing.ts'
import type { Visit, Visits } from './visits.ts'

const MAX_AVATAR_BYTES = 3 * 1024 * 1024
const NAME_BYTES = 16

/** Permission to upload the picture of a group, one for each picture; which one is the group's is said in a change. */
export class GroupAvatars {
  readonly #visits: Visits
  readonly #policy: PostPolicy
  readonly #random: Random

  constructor(visits: Visits, policy: PostPolicy, random: Random) {
    this.#visits = visits
    this.#policy = policy
    this.#random = random
  }

  /** A group that is yet to be created may have a picture from the start. */
  async form(credentials: Credentials): Promise<PostForm> {
    const caller = await this.#visits.author(credentials)
    const visit = await this.#visits.at(caller)
    if (visit && !mayChange(visit)) throw new Refusal('forbidden')
    const name = Buffer.from(this.#random.bytes(NAME_BYTES)).toString('base64url')
    const folder = Buffer.from(caller.groupId).toString('base64url')
    return this.#policy.formFor(`groups/${folder}/${name}`, { maxBytes: MAX_AVATAR_BYTES })
  }
}

const mayChange = ({ group, standing }: Visit): boolean =>
  !group.terminated && mayModifyAttributes(group, standing)
