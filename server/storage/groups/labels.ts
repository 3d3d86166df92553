// Labels that members wear in a group: ours is the reading that members label themselves, and administrators anybody.
import type { Step } from './change.ts'
import { memberWith } from './members.ts'
import { allow, demand } from './refused.ts'
import { isAuthor, mayLabelOneself } from './standing.ts'
import { hasDuplicates } from './user-id.ts'

/** Encrypted: clients show some dozens of characters, and one emoji. */
const MAX_LABEL_BYTES = 512

export const modifyLabels: Step = ({ group, standing, draft, context }, { modifyMemberLabels: actions }) => {
  if (actions.length === 0) return {}
  const isOwn = actions.length === 1 && isAuthor(context.author, actions[0]!.userId)
  allow(standing.isAdministrator || (isOwn && mayLabelOneself(group, standing)))
  demand(!hasDuplicates(actions.map(({ userId }) => userId)))
  for (const { userId, labelEmoji, labelString } of actions) {
    demand(labelEmoji.length <= MAX_LABEL_BYTES && labelString.length <= MAX_LABEL_BYTES)
    // An emoji alone is no label.
    demand(labelString.length > 0 || labelEmoji.length === 0)
    const member = draft.members.find(userId)
    demand(member !== undefined)
    const { role, profileKey, joinedAtVersion } = member
    draft.members.replace(memberWith({ userId, role, profileKey, joinedAtVersion, labelEmoji, labelString }))
  }
  return {
    modifyMemberLabels: actions.map(({ userId, labelEmoji, labelString }) => ({
      userId,
      labelEmoji,
      labelString,
    })),
  }
}
