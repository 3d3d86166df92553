// By which of their ids the author of a change stands in the group: members are told who did it.
import type { Group } from './messages.ts'
import { type Author, isAuthor } from './standing.ts'
import { type Bytes, sameBytes } from './user-id.ts'

const authorsIn = (ids: readonly Bytes[], author: Author): Bytes[] => ids.filter((id) => isAuthor(author, id))

const members = (group: Group) => group.members.map(({ userId }) => userId)
const requesting = (group: Group) => group.membersPendingAdminApproval.map(({ userId }) => userId)
const invited = (group: Group) =>
  group.membersPendingProfileKey.flatMap(({ member }) => (member ? [member.userId] : []))

/** The ACI if the group knew it, else the PNI if it knew that, else what the change brought in; nothing for an outsider. */
export function sourceOf(author: Author, before: Group, after: Group): Bytes | undefined {
  const known = authorsIn([...members(before), ...invited(before), ...requesting(before)], author)
  return (
    known.find((id) => sameBytes(id, author.userId)) ??
    known.at(-1) ??
    authorsIn([...members(after), ...requesting(after)], author)[0]
  )
}
