// Who may reach an account without saying who they are (signal-api §0.6).
import { createHmac } from 'node:crypto'
import { ServiceId as LibsignalServiceId } from '@signalapp/libsignal-client'
import {
  GroupSendDerivedKeyPair,
  GroupSendFullToken,
  type ServerSecretParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Unidentified } from '../../../wire/route.ts'
import { isPni, type ServiceId } from '../../../wire/types.ts'
import type { Clock } from '../../kit/clock.ts'
import { sameSecret } from '../../kit/constant-time.ts'
import type { Account } from './account.ts'

const KEY_BYTES = 16

export class UnidentifiedAccess {
  readonly #params: () => ServerSecretParams
  readonly #clock: Clock

  constructor(params: () => ServerSecretParams, clock: Clock) {
    this.#params = params
    this.#clock = clock
  }

  /**
   * A wrong key, a missing target and a target that allows nobody are one and the same refusal, so that nobody learns
   * who exists; only a valid group send token may learn that there is no such account.
   */
  admit(access: Unidentified, id: ServiceId, target: Account | undefined): Admitted {
    if (access.kind === 'group-send-token') {
      if (!this.isTokenFor(access.token, [id])) return REFUSED
      return target ? { kind: 'admitted', target } : { kind: 'not-found' }
    }
    const open = target !== undefined && !isPni(id) && opens(access, target)
    return open ? { kind: 'admitted', target } : REFUSED
  }

  /** True if the key is that of all accounts in one: the XOR of those that do not let everybody in. */
  opensAll(key: Uint8Array, accounts: readonly Account[]): boolean {
    const combined = Buffer.alloc(KEY_BYTES)
    for (const { unrestrictedUnidentifiedAccess, unidentifiedAccessKey: own } of accounts) {
      if (unrestrictedUnidentifiedAccess) continue
      if (own?.length !== KEY_BYTES) return false
      for (let at = 0; at < KEY_BYTES; at++) combined[at]! ^= own[at]!
    }
    return sameSecret(combined, key)
  }

  /** True if the group send token was given for exactly these, and has not expired. */
  isTokenFor(bytes: Uint8Array, ids: readonly ServiceId[]): boolean {
    try {
      const token = new GroupSendFullToken(new Uint8Array(bytes))
      const pair = GroupSendDerivedKeyPair.forExpiration(token.getExpiration(), this.#params())
      const recipients = ids.map((id) => LibsignalServiceId.parseFromServiceIdString(id))
      token.verify(recipients, pair, new Date(this.#clock.nowMs()))
      return true
    } catch {
      return false
    }
  }
}

export type Admitted =
  | { readonly kind: 'admitted'; readonly target: Account }
  | { readonly kind: 'refused' | 'not-found' }

const REFUSED: Admitted = { kind: 'refused' }

function opens(access: Exclude<Unidentified, { kind: 'group-send-token' }>, account: Account): boolean {
  if (access.kind === 'none') return false
  if (account.unrestrictedUnidentifiedAccess) return true
  const own = account.unidentifiedAccessKey
  if (access.kind === 'unrestricted' || own === undefined) return false
  return sameSecret(own, access.key)
}

/** HMAC-SHA256 under the access key of 32 zero bytes: shows that one knows the key without telling it. */
export const accessKeyFingerprint = ({ unidentifiedAccessKey }: Account): Uint8Array | undefined =>
  unidentifiedAccessKey && createHmac('sha256', unidentifiedAccessKey).update(Buffer.alloc(32)).digest()
