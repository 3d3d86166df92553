// The ways to prove a number: a verified session, the recovery password that its account has set, or an invite, which
// proves nothing of a number but lets somebody have it who has no account yet.
import type { E164 } from '../../../wire/types.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { Invites } from '../invites/invites.ts'
import type { Verification } from '../verification/verification.ts'
import type { Recovery } from './recovery.ts'

export type ProvenBy = 'session' | 'recovery-password' | 'invite'

/** Exactly one of them. */
export type Evidence = {
  readonly sessionId: string | undefined
  readonly recoveryPassword: Uint8Array | undefined
}

/**
 * `statements` belong into the transaction that relies on the proof: one is unmet once the proof is none any more. By an
 * invite nobody's account may be taken over, nor an identity that a number had before.
 */
export type Proof =
  | { readonly kind: 'proven'; readonly by: ProvenBy; readonly statements: readonly Statement[] }
  /** No such session, or one that is not verified; one of another number; not the password. */
  | { readonly kind: 'unverified' | 'foreign-session' | 'recovery-refused' }

export class NumberProof {
  readonly #verification: Verification
  readonly #recovery: Recovery
  readonly #invites: Invites

  constructor(verification: Verification, recovery: Recovery, invites: Invites) {
    this.#verification = verification
    this.#invites = invites
    this.#recovery = recovery
  }

  async prove(e164: E164, { sessionId, recoveryPassword }: Evidence): Promise<Proof> {
    if (recoveryPassword !== undefined) {
      const statement = await this.#recovery.proof(e164, recoveryPassword)
      return statement
        ? { kind: 'proven', by: 'recovery-password', statements: [statement] }
        : { kind: 'recovery-refused' }
    }
    return this.#proveBySession(sessionId ?? '', e164)
  }

  async #proveBySession(sessionId: string, e164: E164): Promise<Proof> {
    const proof = await this.#verification.prove(sessionId, e164)
    if (proof.kind !== 'proven') return proof
    const grant = await this.#invites.grantOf(sessionId, e164)
    if (!grant) return { kind: 'proven', by: 'session', statements: [proof.statement] }
    if (grant.kind === 'over') return { kind: 'unverified' }
    return { kind: 'proven', by: 'invite', statements: [proof.statement, ...grant.statements] }
  }
}
