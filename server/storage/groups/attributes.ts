// What a group is called, looks like and keeps; who may speak in it; its end.
import type { Step } from './change.ts'
import { allow, demand } from './refused.ts'
import { mayModifyAttributes } from './standing.ts'

/** Encrypted: a number of seconds. */
export const MAX_TIMER_BYTES = 256

const AVATAR_NAME = /^[A-Za-z0-9_-]{21}[AQgw](==)?$/

/** `groups/<the group's id>/<16 bytes>`, both in base64url; or none. */
export function isAvatarOf(groupId: Uint8Array, avatarUrl: string): boolean {
  if (avatarUrl === '') return true
  const folder = `groups/${Buffer.from(groupId).toString('base64url')}/`
  return avatarUrl.startsWith(folder) && AVATAR_NAME.test(avatarUrl.slice(folder.length))
}

export const modifyTitle: Step = ({ group, standing, draft }, { modifyTitle: action }) => {
  if (action === null) return {}
  allow(mayModifyAttributes(group, standing))
  draft.title = action.title
  return { modifyTitle: { title: action.title } }
}

export const modifyDescription: Step = ({ group, standing, draft }, { modifyDescription: action }) => {
  if (action === null) return {}
  allow(mayModifyAttributes(group, standing))
  draft.description = action.description
  return { modifyDescription: { description: action.description } }
}

export const modifyAvatar: Step = ({ group, standing, draft, context }, { modifyAvatar: action }) => {
  if (action === null) return {}
  allow(mayModifyAttributes(group, standing))
  demand(isAvatarOf(context.groupId, action.avatar))
  draft.avatarUrl = action.avatar
  return { modifyAvatar: { avatar: action.avatar } }
}

export const modifyTimer: Step = ({ group, standing, draft }, { modifyDisappearingMessageTimer: action }) => {
  if (action === null) return {}
  allow(mayModifyAttributes(group, standing))
  draft.disappearingMessagesTimer = action.timer
  return { modifyDisappearingMessageTimer: { timer: action.timer } }
}

export const modifyAnnouncementsOnly: Step = ({ standing, draft }, { modifyAnnouncementsOnly: action }) => {
  if (action === null) return {}
  allow(standing.isAdministrator)
  draft.announcementsOnly = action.announcementsOnly
  return { modifyAnnouncementsOnly: { announcementsOnly: action.announcementsOnly } }
}

/** A terminated group takes no more changes. */
export const terminate: Step = ({ standing, draft }, { terminateGroup: action }) => {
  if (action === null) return {}
  allow(standing.isAdministrator)
  draft.terminated = true
  return { terminateGroup: {} }
}
