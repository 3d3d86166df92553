// gRPC's way to write a service id: its kind, and the UUID's 16 bytes.
import { IdentityType as IdentityTypeNumber, type ServiceIdentifier } from '../../../wire/gen/common.js'
import {
  type Aci,
  type IdentityType,
  isPni,
  pniFromUuid,
  type ServiceId,
  uuidFromBytes,
  uuidOf,
  uuidToBytes,
} from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'

/** Refuses what is not one of the two identities (CONSTRAINT_VIOLATED). */
export function readIdentityType(field: string, value: number): IdentityType {
  if (value === IdentityTypeNumber.IDENTITY_TYPE_ACI) return 'aci'
  if (value === IdentityTypeNumber.IDENTITY_TYPE_PNI) return 'pni'
  throw new Refusal('invalid', { field, message: 'must be specified' })
}

/** Refuses an absent or malformed identifier (CONSTRAINT_VIOLATED). */
export function readServiceIdentifier(field: string, identifier: ServiceIdentifier | null): ServiceId {
  if (identifier?.uuid.length !== 16) throw new Refusal('invalid', { field, message: 'must be a service id' })
  const uuid = uuidFromBytes(identifier.uuid)
  return readIdentityType(field, identifier.identityType) === 'pni' ? pniFromUuid(uuid) : (uuid as Aci)
}

export const toServiceIdentifier = (id: ServiceId) => ({
  identityType: isPni(id) ? IdentityTypeNumber.IDENTITY_TYPE_PNI : IdentityTypeNumber.IDENTITY_TYPE_ACI,
  uuid: uuidToBytes(uuidOf(id)),
})
