// Groups for the bench: people of whom only the storage service hears, as issued by the server's own parameters from its data folder, so
// that a thousand need not be registered. The group itself goes in by the real PUT, with a presentation each.
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Aci, Pni } from '@signalapp/libsignal-client'
import {
  ClientZkAuthOperations,
  ClientZkGroupCipher,
  ClientZkProfileOperations,
  GroupSecretParams,
  ProfileKey,
  ServerSecretParams,
  ServerZkAuthOperations,
  ServerZkProfileOperations,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { AccessControl_AccessRequired as Access, Group, Member_Role as Role } from '../wire/gen/groups.js'
import { StorageCalls } from './generator/storage-calls.ts'
import type { Member, StorageService } from './job.ts'

const DAY_SECONDS = 86_400
const TITLE_BYTES = 80

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const today = (): number => Math.floor(Date.now() / 1000 / DAY_SECONDS) * DAY_SECONDS

export type PreparedGroup = { readonly authorization: string; readonly others: readonly Member[] }

export function parametersIn(secretsFile: string): ServerSecretParams {
  const { serverSecretParams } = JSON.parse(readFileSync(secretsFile, 'utf8'))
  return new ServerSecretParams(new Uint8Array(Buffer.from(serverSecretParams, 'base64')))
}

/** Of so many members, the asker among them. */
export async function prepareGroup(
  parameters: ServerSecretParams,
  { origin, caPem }: Pick<StorageService, 'origin' | 'caPem'>,
  size: number,
): Promise<PreparedGroup> {
  const group = GroupSecretParams.generate()
  const administrator = Aci.fromUuid(randomUUID())
  const authorization = authorizationOf(parameters, group, administrator)
  const others = Array.from({ length: size - 1 }, () =>
    memberOf(parameters, group, Aci.fromUuid(randomUUID())),
  )
  const shown = (member: Member, role: number) => ({
    role,
    presentation: new Uint8Array(Buffer.from(member.presentation, 'base64')),
  })
  const body = Group.encode({
    publicKey: group.getPublicParams().serialize(),
    title: new Uint8Array(randomBytes(TITLE_BYTES)),
    accessControl: {
      attributes: Access.MEMBER,
      members: Access.MEMBER,
      addFromInviteLink: Access.UNSATISFIABLE,
    },
    version: 0,
    members: [
      shown(memberOf(parameters, group, administrator), Role.ADMINISTRATOR),
      ...others.map((member) => shown(member, Role.DEFAULT)),
    ],
  }).finish()
  const calls = new StorageCalls(origin, caPem, authorization)
  const { status } = await calls.call('PUT', '/v2/groups', body)
  calls.close()
  if (status !== 200) throw new Error(`a group of ${size} was not taken: ${status}`)
  return { authorization, others }
}

function authorizationOf(parameters: ServerSecretParams, group: GroupSecretParams, aci: Aci): string {
  const pni = Pni.fromUuid(randomUUID())
  const issued = new ServerZkAuthOperations(parameters).issueAuthCredentialWithPniZkc(aci, pni, today())
  const client = new ClientZkAuthOperations(parameters.getPublicParams())
  const credential = client.receiveAuthCredentialWithPniAsServiceId(aci, pni, today(), issued)
  const shown = client.createAuthCredentialWithPniPresentation(group, credential).serialize()
  const key = group.getPublicParams().serialize()
  return `Basic ${Buffer.from(`${hex(key)}:${hex(shown)}`).toString('base64')}`
}

function memberOf(parameters: ServerSecretParams, group: GroupSecretParams, aci: Aci): Member {
  const profileKey = new ProfileKey(new Uint8Array(randomBytes(32)))
  const client = new ClientZkProfileOperations(parameters.getPublicParams())
  const context = client.createProfileKeyCredentialRequestContext(aci, profileKey)
  const issued = new ServerZkProfileOperations(parameters).issueExpiringProfileKeyCredential(
    context.getRequest(),
    aci,
    profileKey.getCommitment(aci),
    today() + 3 * DAY_SECONDS,
  )
  const credential = client.receiveExpiringProfileKeyCredential(context, issued)
  const shown = client.createExpiringProfileKeyCredentialPresentation(group, credential)
  const userId = new ClientZkGroupCipher(group).encryptServiceId(aci)
  return { userId: base64(userId.serialize()), presentation: base64(shown.serialize()) }
}
