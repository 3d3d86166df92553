// Who may have a session, and to whom codes are sent: decided elsewhere, and handed in.
import type { E164 } from '../../../wire/types.ts'
import type { Statement } from '../../kit/sql/sql.ts'

export type SessionPolicy = {
  /** Throws a `Refusal` while nobody may ask for anything. */
  mayAsk(): Promise<void>
  /** False for a number to which nothing is sent: it is answered as if a code was, and must have one from elsewhere. */
  sendsTo(e164: E164): Promise<boolean>
  /** What is written with a session's proof, if this is the code that a number has from elsewhere. */
  redeem(sessionId: string, e164: E164, code: string): Promise<readonly Statement[] | undefined>
}
