// What a bearer token allows of one upload (docs/protocol/attachments.md).
import type { Headers } from '../../kit/router.ts'
import type { UploadSignatures } from '../../kit/upload-signatures.ts'
import { bearerOf } from '../bearer.ts'

export type Audience = 'attachments' | 'backups'
export type Permission = {
  readonly audience: Audience
  /** What is signed: the object's name below the folder of its audience. */
  readonly subject: string
  readonly maxBytes: number
}

/** The permission to put something for this audience; 401 without a token, 403 with one that does not allow it. */
export function permissionOf(
  signatures: UploadSignatures,
  audience: Audience,
  headers: Headers,
): Permission | 401 | 403 {
  const token = bearerOf(headers)
  if (token === undefined) return 401
  const claims = signatures.verifyToken(token)
  return claims?.audience === audience && 'maxBytes' in claims ? claims : 403
}

export const keyOf = ({ audience, subject }: Permission): string => `${audience}/${subject}`
