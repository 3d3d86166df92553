// What runs in the threads of the prover: each of these takes a millisecond or more.
import {
  AuthCredentialPresentation,
  GroupPublicParams,
  GroupSendDerivedKeyPair,
  GroupSendEndorsementsResponse,
  ProfileKeyCredentialPresentation,
  ServerSecretParams,
  ServerZkAuthOperations,
  ServerZkProfileOperations,
  UuidCiphertext,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'

type Bytes = Uint8Array<ArrayBuffer>

/** Who asks, as the group's own ciphertexts of the account's two ids. */
export type ProvenAuthor = { readonly userId: Bytes; readonly pniUserId: Bytes; readonly groupId: Bytes }
/** What a presentation of a profile key proves: both ciphertexts. */
export type ProvenProfileKey = { readonly userId: Bytes; readonly profileKey: Bytes }

export type Proving = ReturnType<typeof open>

/** The server's parameters are parsed once a thread. They must stay secret. */
export function open(serverSecretParams: Bytes) {
  const server = new ServerSecretParams(serverSecretParams)
  const auth = new ServerZkAuthOperations(server)
  const profiles = new ServerZkProfileOperations(server)
  return {
    author: (publicKey: Bytes, presentation: Bytes, nowMs: number): ProvenAuthor | undefined =>
      whereItHolds(() => {
        const group = new GroupPublicParams(publicKey)
        const shown = new AuthCredentialPresentation(presentation)
        auth.verifyAuthCredentialPresentation(group, shown, new Date(nowMs))
        return {
          userId: shown.getUuidCiphertext().serialize(),
          pniUserId: shown.getPniCiphertext().serialize(),
          groupId: group.getGroupIdentifier().serialize(),
        }
      }),
    profileKeys(
      publicKey: Bytes,
      presentations: readonly Bytes[],
      nowMs: number,
    ): (ProvenProfileKey | undefined)[] {
      const group = new GroupPublicParams(publicKey)
      return presentations.map((presentation) =>
        whereItHolds(() => {
          const shown = new ProfileKeyCredentialPresentation(presentation)
          profiles.verifyProfileKeyCredentialPresentation(group, shown, new Date(nowMs))
          return {
            userId: shown.getUuidCiphertext().serialize(),
            profileKey: shown.getProfileKeyCiphertext().serialize(),
          }
        }),
      )
    },
    /** `expiresAtMs` is the start of a day (UTC). */
    endorse(members: readonly Bytes[], expiresAtMs: number): Bytes {
      const pair = GroupSendDerivedKeyPair.forExpiration(new Date(expiresAtMs), server)
      const ids = members.map((member) => new UuidCiphertext(member))
      return GroupSendEndorsementsResponse.issue(ids, pair).serialize()
    },
    sign: (bytes: Bytes): Bytes => server.sign(bytes).serialize(),
  }
}

/** Nothing, if what a client sent is no such thing or does not hold. */
function whereItHolds<T>(prove: () => T): T | undefined {
  try {
    return prove()
  } catch {
    return undefined
  }
}
