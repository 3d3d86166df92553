// A group while it changes: its lists by user, in their order, and each field as it stands so far.
import type {
  AccessControl,
  Group,
  Member,
  MemberBanned,
  MemberPendingAdminApproval,
  MemberPendingProfileKey,
} from './messages.ts'
import { demand } from './refused.ts'
import { accessOf } from './standing.ts'
import { type Bytes, keyOf, NO_BYTES } from './user-id.ts'

/** A list that knows its users. It keeps the group's order; a duplicate in what is stored would be its later entry. */
export class UserList<T> {
  readonly #idOf: (entry: T) => Bytes
  readonly #entries: Map<string, T>

  constructor(entries: readonly T[], idOf: (entry: T) => Bytes) {
    this.#idOf = idOf
    this.#entries = new Map(entries.map((entry) => [keyOf(idOf(entry)), entry]))
  }

  get size(): number {
    return this.#entries.size
  }

  get all(): readonly T[] {
    return [...this.#entries.values()]
  }

  keys(): Iterable<string> {
    return this.#entries.keys()
  }

  find(userId: Uint8Array): T | undefined {
    return this.#entries.get(keyOf(userId))
  }

  has(userId: Uint8Array): boolean {
    return this.#entries.has(keyOf(userId))
  }

  /** Refuses somebody who is in the list. */
  add(entry: T): void {
    const key = keyOf(this.#idOf(entry))
    demand(!this.#entries.has(key))
    this.#entries.set(key, entry)
  }

  /** In the place of the entry of the same user. */
  replace(entry: T): void {
    this.#entries.set(keyOf(this.#idOf(entry)), entry)
  }

  delete(userId: Uint8Array): boolean {
    return this.#entries.delete(keyOf(userId))
  }

  /** Refuses somebody who is not in the list. */
  take(userId: Uint8Array): T {
    const entry = this.find(userId)
    demand(entry !== undefined)
    this.delete(userId)
    return entry
  }
}

/** Decoded messages have their zeros in the prototype: what is spread later is copied by field first. */
function levelsOf(group: Group): AccessControl {
  const { attributes, members, addFromInviteLink, memberLabel } = accessOf(group)
  return { attributes, members, addFromInviteLink, memberLabel }
}

export class Draft {
  readonly publicKey: Bytes
  title: Bytes
  description: Bytes
  avatarUrl: string
  disappearingMessagesTimer: Bytes
  accessControl: AccessControl
  inviteLinkPassword: Bytes
  announcementsOnly: boolean
  terminated: boolean
  readonly members: UserList<Member>
  readonly invited: UserList<MemberPendingProfileKey>
  readonly requesting: UserList<MemberPendingAdminApproval>
  readonly banned: UserList<MemberBanned>

  constructor(group: Group) {
    this.publicKey = group.publicKey
    this.title = group.title
    this.description = group.description
    this.avatarUrl = group.avatarUrl
    this.disappearingMessagesTimer = group.disappearingMessagesTimer
    this.accessControl = levelsOf(group)
    this.inviteLinkPassword = group.inviteLinkPassword
    this.announcementsOnly = group.announcementsOnly
    this.terminated = group.terminated
    this.members = new UserList(group.members, ({ userId }) => userId)
    this.invited = new UserList(group.membersPendingProfileKey, ({ member }) => member?.userId ?? NO_BYTES)
    this.requesting = new UserList(group.membersPendingAdminApproval, ({ userId }) => userId)
    this.banned = new UserList(group.membersBanned, ({ userId }) => userId)
  }

  setAccess(levels: Partial<AccessControl>): void {
    this.accessControl = { ...this.accessControl, ...levels }
  }

  toGroup(version: number): Group {
    return {
      publicKey: this.publicKey,
      title: this.title,
      description: this.description,
      avatarUrl: this.avatarUrl,
      disappearingMessagesTimer: this.disappearingMessagesTimer,
      accessControl: this.accessControl,
      version,
      members: this.members.all,
      membersPendingProfileKey: this.invited.all,
      membersPendingAdminApproval: this.requesting.all,
      inviteLinkPassword: this.inviteLinkPassword,
      announcementsOnly: this.announcementsOnly,
      membersBanned: this.banned.all,
      terminated: this.terminated,
    }
  }
}
