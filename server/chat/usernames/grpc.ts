import type { Accounts, AccountsAnonymous } from '../../../wire/gen/account.js'
import {
  MAX_USERNAME_CIPHERTEXT_BYTES,
  MAX_USERNAME_HASHES,
  USERNAME_HASH_BYTES,
} from '../../../wire/limits.ts'
import { uuidFromBytes, uuidToBytes } from '../../../wire/types.ts'
import { exactBytes, sizedBytes } from '../../kit/grpc-bytes.ts'
import type { GrpcHandlers } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import { toServiceIdentifier } from '../accounts/service-identifier.ts'
import type { Confirmed, Usernames } from './usernames.ts'

export const usernamesGrpc = (
  usernames: Usernames,
): Pick<
  GrpcHandlers<typeof Accounts>,
  | 'reserveUsernameHash'
  | 'confirmUsernameHash'
  | 'deleteUsernameHash'
  | 'setUsernameLink'
  | 'deleteUsernameLink'
> => ({
  async reserveUsernameHash({ usernameHashes }, { device }) {
    const reserved = await usernames.reserve(device, readHashes(usernameHashes))
    return reserved.kind === 'taken' ? { usernameNotAvailable: {} } : { usernameHash: reserved.hash }
  },
  async confirmUsernameHash({ usernameHash, zkProof, usernameCiphertext }, { device }) {
    const hash = exactBytes('username_hash', usernameHash, USERNAME_HASH_BYTES)
    const proof = sizedBytes('zk_proof', zkProof, { min: 1 })
    return toConfirmation(
      await usernames.confirm(device, hash, proof, readCiphertext('username_ciphertext', usernameCiphertext)),
    )
  },
  async deleteUsernameHash(_, { device }) {
    await usernames.delete(device)
    return {}
  },
  async setUsernameLink({ usernameCiphertext, keepLinkHandle }, { device }) {
    const ciphertext = readCiphertext('username_ciphertext', usernameCiphertext)
    const linked = await usernames.setLink(device, ciphertext, keepLinkHandle)
    return linked.kind === 'no-username'
      ? { noUsernameSet: {} }
      : { usernameLinkHandle: uuidToBytes(linked.handle) }
  },
  async deleteUsernameLink(_, { device }) {
    await usernames.deleteLink(device)
    return {}
  },
})

export const usernamesAnonymousGrpc = (
  usernames: Usernames,
): Pick<GrpcHandlers<typeof AccountsAnonymous>, 'lookupUsernameHash' | 'lookupUsernameLink'> => ({
  async lookupUsernameHash({ usernameHash }, { remoteAddress }) {
    const hash = exactBytes('username_hash', usernameHash, USERNAME_HASH_BYTES)
    const owner = await usernames.ownerOf(hash, remoteAddress)
    return owner ? { serviceIdentifier: toServiceIdentifier(owner) } : { notFound: {} }
  },
  async lookupUsernameLink({ usernameLinkHandle }, { remoteAddress }) {
    const handle = uuidFromBytes(exactBytes('username_link_handle', usernameLinkHandle, 16))
    const ciphertext = await usernames.linked(handle, remoteAddress)
    return ciphertext ? { usernameCiphertext: ciphertext } : { notFound: {} }
  },
})

function readHashes(hashes: readonly Uint8Array[]): readonly Uint8Array[] {
  if (hashes.length < 1 || hashes.length > MAX_USERNAME_HASHES)
    throw new Refusal('invalid', { field: 'username_hashes', message: 'must be 1 to 20' })
  return hashes.map((hash) => exactBytes('username_hashes', hash, USERNAME_HASH_BYTES))
}

const readCiphertext = (field: string, bytes: Uint8Array): Uint8Array =>
  sizedBytes(field, bytes, { min: 1, max: MAX_USERNAME_CIPHERTEXT_BYTES })

function toConfirmation(confirmed: Confirmed) {
  if (confirmed.kind === 'lost') return { usernameNotAvailable: {} }
  if (confirmed.kind === 'not-reserved') return { reservationNotFound: {} }
  const usernameLinkHandle = confirmed.handle === undefined ? undefined : uuidToBytes(confirmed.handle)
  return { confirmedUsernameHash: { usernameLinkHandle } }
}
