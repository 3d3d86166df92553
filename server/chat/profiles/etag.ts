// The tag of a profile of the second kind: clients may compute it too.
import { tupleHash256 } from '../../kit/tuple-hash.ts'
import type { Account } from '../accounts/account.ts'
import { accessKeyFingerprint } from '../accounts/unidentified-access.ts'

const CUSTOMIZATION = 'ProfileETag/v1'
export const ETAG_BYTES = 10
const NONE = new Uint8Array(0)
const NO_BADGES = Buffer.alloc(4)

/** Over the fields in the order of ProfileResult; an absent one counts as empty. Nothing where Node cannot compute it. */
export function etagOf(
  account: Account,
  data: Uint8Array,
  paymentAddress: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  const fields = [
    data,
    paymentAddress ?? NONE,
    account.aciIdentityKey,
    accessKeyFingerprint(account) ?? NONE,
    Buffer.of(account.unrestrictedUnidentifiedAccess ? 1 : 0),
    NO_BADGES,
  ]
  return tupleHash256(fields, CUSTOMIZATION, ETAG_BYTES)
}
