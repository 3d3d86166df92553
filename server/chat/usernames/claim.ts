// Whose a username is, how firmly and for how long.
import type { Aci } from '../../../wire/types.ts'
import type { Account } from '../accounts/account.ts'

const RESERVED_MS = 5 * 60_000

export type ClaimState = 'owned' | 'held' | 'reclaimable' | 'reserved'

/** Whose a username is, and how firmly. */
export type Claim = {
  readonly hash: Uint8Array
  readonly aci: Aci
  readonly state: ClaimState
  /** The account's version that brought it to this state. */
  readonly sinceVersion: number
  /** Absent if and only if it is owned. */
  readonly expiresAtMs: number | undefined
}

export const isSame = (one: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && Buffer.compare(one, other) === 0

const isExpired = (claim: Claim, nowMs: number): boolean =>
  claim.expiresAtMs !== undefined && claim.expiresAtMs <= nowMs

/** Whether an account may have the name: it is free, or the account's own and not confirmed yet. */
export const isOpenTo = (aci: Aci, claim: Claim | undefined, nowMs: number): boolean =>
  claim === undefined || isExpired(claim, nowMs) || (claim.aci === aci && claim.state !== 'owned')

/** A claim for five minutes. One that the account has anyway keeps what it is, and never ends sooner than it would have. */
export function reservation(
  account: Account,
  hash: Uint8Array,
  old: Claim | undefined,
  nowMs: number,
): Claim {
  const expiresAtMs = nowMs + RESERVED_MS
  if (old?.aci === account.aci && !isExpired(old, nowMs))
    return { ...old, expiresAtMs: Math.max(old.expiresAtMs ?? 0, expiresAtMs) }
  return { hash, aci: account.aci, state: 'reserved', sinceVersion: account.version + 1, expiresAtMs }
}

export const ownership = ({ aci, version }: Account, hash: Uint8Array): Claim => ({
  hash,
  aci,
  state: 'owned',
  sinceVersion: version + 1,
  expiresAtMs: undefined,
})

/** The handle from before the account was registered anew, if this is the name from then. */
export const reclaimedHandle = (account: Account, claim: Claim | undefined): string | undefined =>
  claim?.aci === account.aci && claim.state === 'reclaimable' && !account.usernameHash
    ? account.usernameLinkHandle
    : undefined
