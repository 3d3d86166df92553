// The two ways to prove a number: a verified session, or the recovery password that its account has set.
import type { E164 } from '../../../wire/types.ts'
import type { Statement } from '../../kit/sql/sql.ts'
import type { Verification } from '../verification/verification.ts'
import type { Recovery } from './recovery.ts'

export type ProvenBy = 'session' | 'recovery-password'

/** Exactly one of them. */
export type Evidence = {
  readonly sessionId: string | undefined
  readonly recoveryPassword: Uint8Array | undefined
}

/** `statement` belongs into the transaction that relies on the proof: it is unmet once the proof is none any more. */
export type Proof =
  | { readonly kind: 'proven'; readonly by: ProvenBy; readonly statement: Statement }
  /** No such session, or one that is not verified; one of another number; not the password. */
  | { readonly kind: 'unverified' | 'foreign-session' | 'recovery-refused' }

export class NumberProof {
  readonly #verification: Verification
  readonly #recovery: Recovery

  constructor(verification: Verification, recovery: Recovery) {
    this.#verification = verification
    this.#recovery = recovery
  }

  async prove(e164: E164, { sessionId, recoveryPassword }: Evidence): Promise<Proof> {
    if (recoveryPassword !== undefined) {
      const statement = await this.#recovery.proof(e164, recoveryPassword)
      return statement ? { kind: 'proven', by: 'recovery-password', statement } : { kind: 'recovery-refused' }
    }
    const proof = await this.#verification.prove(sessionId ?? '', e164)
    return proof.kind === 'proven' ? { ...proof, by: 'session' } : proof
  }
}
