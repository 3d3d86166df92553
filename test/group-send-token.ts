// What a member of a group shows to reach others of it (signal-api §2.15.3).
import { randomUUID } from 'node:crypto'
import { Aci, ServiceId as LibsignalServiceId } from '@signalapp/libsignal-client'
import {
  ClientZkGroupCipher,
  GroupSecretParams,
  GroupSendDerivedKeyPair,
  GroupSendEndorsement,
  GroupSendEndorsementsResponse,
  type ServerSecretParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { ServiceId } from '../wire/types.ts'

export type TokenOptions = {
  readonly params: ServerSecretParams
  readonly recipients: readonly ServiceId[]
  /** The start of a day (UTC), in milliseconds. */
  readonly expiresAtMs: number
}

/** A full token that the server issued a day before it expires, for a group of the recipients and one more. */
export function groupSendToken({ params, recipients, expiresAtMs }: TokenOptions): Uint8Array {
  const expiration = new Date(expiresAtMs)
  const group = GroupSecretParams.generate()
  const cipher = new ClientZkGroupCipher(group)
  const self = Aci.fromUuid(randomUUID())
  const members = [self, ...recipients.map((id) => LibsignalServiceId.parseFromServiceIdString(id))]
  const response = GroupSendEndorsementsResponse.issue(
    members.map((member) => cipher.encryptServiceId(member)),
    GroupSendDerivedKeyPair.forExpiration(expiration, params),
  )
  const issuedAt = new Date(expiresAtMs - 86_400_000)
  const { endorsements } = response.receiveWithServiceIds(
    members,
    self,
    group,
    params.getPublicParams(),
    issuedAt,
  )
  return GroupSendEndorsement.combine(endorsements.slice(1)).toFullToken(group, expiration).serialize()
}
