// Usernames as clients make them: a name, its hash, the proof that the hash is one.
import { usernames } from '@signalapp/libsignal-client'

export type Name = {
  readonly username: string
  readonly hash: Uint8Array<ArrayBuffer>
  readonly proof: Uint8Array<ArrayBuffer>
}

export function nameOf(nickname: string, discriminator = '42'): Name {
  const { username, hash } = usernames.fromParts(nickname, discriminator, 3, 32)
  return { username, hash, proof: usernames.generateProof(username) }
}
