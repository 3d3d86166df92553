// What an account shows of itself to those who know its profile key. The server sees ciphertexts only.
import type { Account } from '../accounts/account.ts'

/** 32 bytes that a profile key and an ACI make. */
export type ProfileVersion = Uint8Array
export type AvatarChange = 'unchanged' | 'clear' | 'update'

/** Each field is a ciphertext; absent and empty are told apart. */
export type ProfileFields = {
  readonly name: Uint8Array | undefined
  readonly about: Uint8Array | undefined
  readonly aboutEmoji: Uint8Array | undefined
  readonly phoneNumberSharing: Uint8Array | undefined
  readonly paymentAddress: Uint8Array | undefined
}

export type StoredProfile = ProfileFields & {
  readonly version: ProfileVersion
  readonly commitment: Uint8Array
  /** The object's key. */
  readonly avatar: string | undefined
  /** A profile of the second kind: one ciphertext. */
  readonly data: Uint8Array | undefined
  /** Whether the account wrote this version last. */
  readonly isCurrent: boolean
  /** Whether the account has a current version at all. */
  readonly hasCurrent: boolean
}

/** What a client of the first kind writes. */
export type ProfileWrite = {
  readonly version: ProfileVersion
  readonly commitment: Uint8Array
  readonly fields: ProfileFields
  readonly avatar: AvatarChange
}

/** What a client of the second kind writes; an expectation that is absent means that nothing is there. */
export type ProfileV2Write = ProfileWrite & {
  readonly data: Uint8Array
  readonly expectedDataHash: Uint8Array | undefined
  readonly expectedVersion: ProfileVersion | undefined
}

export type Refused = { readonly kind: 'refused' | 'not-found' }
export type FoundAccount = { readonly kind: 'found'; readonly account: Account }
/** A version that the account does not have is absent. */
export type FoundProfile = FoundAccount & { readonly profile: StoredProfile | undefined }

/** Shown with the current version only, and while the account has none (signal-api §2.14). */
export const shownPaymentAddress = (profile: StoredProfile): Uint8Array | undefined =>
  profile.isCurrent || !profile.hasCurrent ? profile.paymentAddress : undefined
