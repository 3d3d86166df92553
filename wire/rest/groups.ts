// Groups (docs/protocol/groups.md): whoever knows a group's key and shows a credential of the day for it may ask about it.
import { z } from 'zod'
import {
  AvatarUploadAttributes,
  ExternalGroupCredential,
  Group,
  GroupChange_Actions,
  GroupChangeResponse,
  GroupJoinInfo,
  GroupResponse,
  Member,
  StoredGroupChanges,
} from '../gen/groups.js'
import { MAX_GROUP_BYTES } from '../limits.ts'
import { nothing, protobuf, route } from '../route.ts'
import { base64, decimal, flag } from '../types.ts'
import { wholeProtobuf } from '../whole-protobuf.ts'

/** The password of a link, as links write it. */
const inviteLinkPassword = base64('url')
const version = decimal(z.int().min(0).max(0xffff_ffff))

export const groupsRoutes = {
  get: route({
    method: 'GET',
    path: '/v2/groups',
    auth: 'basic',
    summary: 'The group, for its members and those invited',
    replies: { 200: protobuf(GroupResponse), 403: nothing, 404: nothing },
  }),
  create: route({
    method: 'PUT',
    path: '/v2/groups',
    auth: 'basic',
    summary: 'Creates a group',
    body: wholeProtobuf(Group),
    maxBodyBytes: MAX_GROUP_BYTES,
    replies: { 200: protobuf(GroupResponse), 400: nothing, 403: nothing, 409: nothing },
  }),
  change: route({
    method: 'PATCH',
    path: '/v2/groups',
    auth: 'basic',
    summary: 'Changes a group, and gives the signed change',
    query: { inviteLinkPassword: inviteLinkPassword.optional() },
    body: wholeProtobuf(GroupChange_Actions),
    maxBodyBytes: MAX_GROUP_BYTES,
    // 409: it is at another version; the group as it is, for those who may see it.
    replies: { 200: protobuf(GroupChangeResponse), 400: nothing, 403: nothing, 409: protobuf(Group) },
  }),
  joinedAtVersion: route({
    method: 'GET',
    path: '/v2/groups/joined_at_version',
    auth: 'basic',
    summary: 'The version at which the caller became a member',
    replies: { 200: protobuf(Member), 403: nothing, 404: nothing },
  }),
  logs: route({
    method: 'GET',
    path: '/v2/groups/logs/:fromVersion',
    auth: 'basic',
    summary: 'The changes since a version, page by page',
    params: { fromVersion: version },
    query: {
      limit: version.optional(),
      maxSupportedChangeEpoch: version.optional(),
      includeFirstState: flag,
      includeLastState: flag,
    },
    // Seconds; 0 for none.
    headers: { 'cached-send-endorsements': decimal(z.int().min(0)).optional() },
    // 206: there are more; `Content-Range` tells which these are.
    replies: {
      200: protobuf(StoredGroupChanges),
      206: protobuf(StoredGroupChanges),
      400: nothing,
      403: nothing,
      404: nothing,
    },
  }),
  joinInfo: route({
    method: 'GET',
    path: '/v2/groups/join/:inviteLinkPassword',
    auth: 'basic',
    summary: 'What who holds a link may know before joining',
    params: { inviteLinkPassword },
    replies: { 200: protobuf(GroupJoinInfo), 403: nothing, 404: nothing },
  }),
  joinInfoOfRequester: route({
    method: 'GET',
    path: '/v2/groups/join',
    auth: 'basic',
    summary: 'The same, for who asked to be let in already',
    replies: { 200: protobuf(GroupJoinInfo), 403: nothing, 404: nothing },
  }),
  avatarForm: route({
    method: 'GET',
    path: '/v2/groups/avatar/form',
    auth: 'basic',
    summary: 'A form for the avatar of a group',
    replies: { 200: protobuf(AvatarUploadAttributes), 403: nothing },
  }),
  token: route({
    method: 'GET',
    path: '/v2/groups/token',
    auth: 'basic',
    summary: 'What a member shows to the server of group calls',
    replies: { 200: protobuf(ExternalGroupCredential), 403: nothing, 404: nothing },
  }),
}
