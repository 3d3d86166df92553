import type { E164 } from '../../../wire/types.ts'
import type { Sql, SqlRow, Statement } from '../../kit/sql/sql.ts'
import type { Transport } from './senders/sender.ts'

export type Session = {
  readonly id: string
  readonly e164: E164
  readonly expiresAtMs: number
  /** How often a code was sent, and when last; 0 is never. */
  readonly sent: Readonly<Record<Transport, { readonly count: number; readonly lastAtMs: number }>>
  /** Of the newest code. */
  readonly codeTransport: Transport
  readonly codeSentAtMs: number
  /** SHA-256 over session and code; nothing if there is no code to be entered. */
  readonly codeDigest: Uint8Array | undefined
  readonly codeExpiresAtMs: number
  readonly attemptsLeft: number
  readonly verified: boolean
  /** Who sent the newest code; empty if nobody did, or is about to. */
  readonly sender: string
  /** By what that sender knows a code that it made itself; empty if the code is ours. */
  readonly senderCheck: string
  /** Whose code did not come, so far as we know: the next code is tried by others first. */
  readonly failedSender: string
  /** What its client still has to show; one of both is enough. */
  readonly wantsCaptcha: boolean
  readonly wantsPush: boolean
}

/** Every change names what it relies on, so that two at once cannot both count. */
export class VerificationStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Opens a session and sweeps out some that are over. */
  async open({ id, e164, expiresAtMs, wantsCaptcha }: NewSession, nowMs: number): Promise<void> {
    await this.#sql.write([
      {
        sql: `DELETE FROM verification_sessions WHERE id IN
                (SELECT id FROM verification_sessions WHERE expires_at_ms <= $1 LIMIT 10)`,
        args: [nowMs],
      },
      {
        sql: `INSERT INTO verification_sessions (id, e164, expires_at_ms, sms_sent, voice_sent, last_sms_at_ms,
                last_voice_at_ms, code_expires_at_ms, attempts_left, verified, wants_captcha)
              VALUES ($1, $2, $3, 0, 0, 0, 0, 0, 0, 0, $4)`,
        args: [id, e164, expiresAtMs, wantsCaptcha ? 1 : 0],
      },
    ])
  }

  async read(id: string, nowMs: number): Promise<Session | undefined> {
    const [row] = await this.#sql.read(
      'SELECT * FROM verification_sessions WHERE id = $1 AND expires_at_ms > $2',
      [id, nowMs],
    )
    return row && toSession(row)
  }

  /** Notes that a push challenge goes out; false if nothing has to be shown any more, or `max` went out before. */
  async notePush(id: string, max: number): Promise<boolean> {
    const written = await this.#sql.write([
      {
        sql: `UPDATE verification_sessions SET wants_push = 1, pushes_sent = pushes_sent + 1
              WHERE id = $1 AND wants_captcha + wants_push > 0 AND pushes_sent < $2`,
        args: [id, max],
        must: 1,
      },
    ])
    return written.ok
  }

  /** Nothing has to be shown any more. */
  async admit(id: string): Promise<void> {
    await this.#sql.write([
      {
        sql: 'UPDATE verification_sessions SET wants_captcha = 0, wants_push = 0 WHERE id = $1',
        args: [id],
      },
    ])
  }

  /**
   * Notes a new code together with what it `costs`, or neither. `overtaken`: another was noted since `session` was read.
   */
  async noteCode(
    session: Session,
    transport: Transport,
    code: NewCode,
    costs: readonly Statement[] = [],
  ): Promise<Noted> {
    const column = transport === 'sms' ? 'sms' : 'voice'
    const written = await this.#sql.write([
      {
        sql: `UPDATE verification_sessions SET ${column}_sent = ${column}_sent + 1, last_${column}_at_ms = $1,
                code_digest = $2, code_expires_at_ms = $3, attempts_left = $4, expires_at_ms = $5, delivery = $6,
                sender = '', sender_check = '', code_transport = $10, code_sent_at_ms = $1
              WHERE id = $7 AND sms_sent = $8 AND voice_sent = $9 AND verified = 0`,
        args: [
          code.sentAtMs,
          code.digest,
          code.expiresAtMs,
          code.attempts,
          code.expiresAtMs,
          code.delivery,
          session.id,
          session.sent.sms.count,
          session.sent.voice.count,
          transport,
        ],
        must: 1,
      },
      ...costs,
    ])
    return written.ok ? 'noted' : written.unmet === 0 ? 'overtaken' : { unmet: written.unmet - 1 }
  }

  /** Notes who sent the code of a delivery; another code may have been noted meanwhile, and then it is no news. */
  async noteSender(delivery: string, sender: string, check: string): Promise<void> {
    await this.#sql.write([
      {
        sql: 'UPDATE verification_sessions SET sender = $1, sender_check = $2 WHERE delivery = $3',
        args: [sender, check, delivery],
      },
    ])
  }

  /** A newest code that did not come may be asked for again at once; of an older one nothing is to be done. */
  async noteFailure(delivery: string, transport: Transport, sender: string): Promise<void> {
    const column = transport === 'sms' ? 'sms' : 'voice'
    await this.#sql.write([
      {
        sql: `UPDATE verification_sessions SET last_${column}_at_ms = 0, failed_sender = $1
              WHERE delivery = $2 AND verified = 0`,
        args: [sender, delivery],
      },
    ])
  }

  /** Spends one attempt, before the code is looked at; false if there was none left. */
  async spendAttempt(id: string, nowMs: number): Promise<boolean> {
    const written = await this.#sql.write([
      {
        sql: `UPDATE verification_sessions SET attempts_left = attempts_left - 1
              WHERE id = $1 AND attempts_left > 0 AND code_expires_at_ms > $2 AND verified = 0`,
        args: [id, nowMs],
        must: 1,
      },
    ])
    return written.ok
  }

  /** The code that was right is gone with this; false if the session was verified before. */
  async verify(id: string, expiresAtMs: number, others: readonly Statement[] = []): Promise<boolean> {
    const written = await this.#sql.write([
      {
        sql: `UPDATE verification_sessions SET verified = 1, code_digest = NULL, expires_at_ms = $1
              WHERE id = $2 AND verified = 0`,
        args: [expiresAtMs, id],
        must: 1,
      },
      ...others,
    ])
    return written.ok
  }

  async expire(nowMs: number): Promise<void> {
    await this.#sql.write([
      { sql: 'DELETE FROM verification_sessions WHERE expires_at_ms <= $1', args: [nowMs] },
    ])
  }

  /** The statement that uses a verified session up; unmet if it was used before. */
  consumption(id: string) {
    return { sql: 'DELETE FROM verification_sessions WHERE id = $1 AND verified = 1', args: [id], must: 1 }
  }
}

export type NewSession = {
  readonly id: string
  readonly e164: E164
  readonly expiresAtMs: number
  readonly wantsCaptcha: boolean
}

/** `unmet`: the place in what it costs. */
export type Noted = 'noted' | 'overtaken' | { readonly unmet: number }

export type NewCode = {
  readonly digest: Uint8Array
  readonly sentAtMs: number
  readonly expiresAtMs: number
  readonly attempts: number
  /** By what providers name it; of no other code, and never empty. */
  readonly delivery: string
}

const toSession = (row: SqlRow): Session => ({
  id: row['id'] as string,
  e164: row['e164'] as E164,
  expiresAtMs: row['expires_at_ms'] as number,
  sent: {
    sms: { count: row['sms_sent'] as number, lastAtMs: row['last_sms_at_ms'] as number },
    voice: { count: row['voice_sent'] as number, lastAtMs: row['last_voice_at_ms'] as number },
  },
  codeTransport: row['code_transport'] as Transport,
  codeSentAtMs: row['code_sent_at_ms'] as number,
  codeDigest: (row['code_digest'] as Uint8Array | null) ?? undefined,
  codeExpiresAtMs: row['code_expires_at_ms'] as number,
  attemptsLeft: row['attempts_left'] as number,
  verified: row['verified'] === 1,
  sender: row['sender'] as string,
  senderCheck: row['sender_check'] as string,
  failedSender: row['failed_sender'] as string,
  wantsCaptcha: row['wants_captcha'] === 1,
  wantsPush: row['wants_push'] === 1,
})
