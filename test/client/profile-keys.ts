// A profile key, and what a client makes of it for an account.
import { randomBytes } from 'node:crypto'
import type * as LS from '@signalapp/libsignal-client'
import {
  ClientZkProfileOperations,
  ExpiringProfileKeyCredentialResponse,
  ProfileKey,
  ServerPublicParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Ready } from '../../server/up.ts'

export class ProfileKeys {
  readonly #aci: LS.Aci
  readonly key: ProfileKey

  constructor(aci: LS.Aci, key = new ProfileKey(new Uint8Array(randomBytes(32)))) {
    this.#aci = aci
    this.key = key
  }

  /** 64 hexadecimal digits. */
  get version(): string {
    return this.key.getProfileKeyVersion(this.#aci).toString()
  }

  get versionBytes(): Buffer {
    return Buffer.from(this.version, 'hex')
  }

  get commitment(): Uint8Array<ArrayBuffer> {
    return this.key.getCommitment(this.#aci).serialize()
  }

  /** A request for a credential, and what makes a credential of the answer. */
  request(ready: Ready) {
    const params = new ServerPublicParams(
      new Uint8Array(Buffer.from(ready.keys.serverPublicParams, 'base64')),
    )
    const operations = new ClientZkProfileOperations(params)
    const context = operations.createProfileKeyCredentialRequestContext(this.#aci, this.key)
    return {
      bytes: context.getRequest().serialize(),
      hex: Buffer.from(context.getRequest().serialize()).toString('hex'),
      /** Throws if the server's answer does not hold. */
      receive: (response: Uint8Array, now = new Date()) =>
        operations.receiveExpiringProfileKeyCredential(
          context,
          new ExpiringProfileKeyCredentialResponse(new Uint8Array(response)),
          now,
        ),
    }
  }
}

export type ProfileJson = {
  readonly name: string
  readonly about?: string | null
  readonly aboutEmoji?: string | null
  readonly paymentAddress?: string | null
  readonly phoneNumberSharing?: string | null
  readonly avatar: boolean
  readonly sameAvatar: boolean
}

const ciphertext = (bytes: number) => randomBytes(bytes).toString('base64')

/** Every field a ciphertext of its smallest size that is not empty. */
export const fullProfile = (fields: Partial<ProfileJson> = {}): ProfileJson => ({
  name: ciphertext(81),
  about: ciphertext(156),
  aboutEmoji: ciphertext(60),
  paymentAddress: ciphertext(582),
  phoneNumberSharing: ciphertext(29),
  avatar: false,
  sameAvatar: false,
  ...fields,
})

/** The body of `PUT /v1/profile`. */
export const profileBody = (keys: ProfileKeys, profile: ProfileJson) => ({
  version: keys.version,
  commitment: Buffer.from(keys.commitment).toString('base64'),
  ...profile,
})
