import { type Aci, type Pni, uuidOf, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'
import type { SaltedHash } from '../accounts/account.ts'

const key = (pni: Pni) => uuidToBytes(uuidOf(pni))

export class RecoveryStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async read(pni: Pni, nowMs: number): Promise<SaltedHash | undefined> {
    const [row] = await this.#sql.read(
      'SELECT salt, hash FROM recovery_passwords WHERE pni = $1 AND expires_at_ms > $2',
      [key(pni), nowMs],
    )
    return row && { salt: row['salt'] as string, hash: row['hash'] as string }
  }

  setting(pni: Pni, password: SaltedHash, expiresAtMs: number): Statement {
    return {
      sql: `INSERT INTO recovery_passwords (pni, salt, hash, expires_at_ms) VALUES ($1, $2, $3, $4)
            ON CONFLICT (pni) DO UPDATE SET salt = excluded.salt, hash = excluded.hash,
              expires_at_ms = excluded.expires_at_ms`,
      args: [key(pni), password.salt, password.hash, expiresAtMs],
    }
  }

  /** Changes nothing; unmet if the password is no longer this one. */
  standing(pni: Pni, password: SaltedHash): Statement {
    return {
      sql: 'UPDATE recovery_passwords SET hash = $1 WHERE pni = $2 AND hash = $3',
      args: [password.hash, key(pni), password.hash],
      must: 1,
    }
  }

  forgetting(pni: Pni): Statement {
    return { sql: 'DELETE FROM recovery_passwords WHERE pni = $1', args: [key(pni)] }
  }

  async readOwn(aci: Aci): Promise<SaltedHash | undefined> {
    const [row] = await this.#sql.read('SELECT salt, hash FROM account_recovery_passwords WHERE aci = $1', [
      uuidToBytes(aci),
    ])
    return row && { salt: row['salt'] as string, hash: row['hash'] as string }
  }

  settingOwn(aci: Aci, { salt, hash }: SaltedHash): Statement {
    return {
      sql: `INSERT INTO account_recovery_passwords (aci, salt, hash) VALUES ($1, $2, $3)
            ON CONFLICT (aci) DO UPDATE SET salt = excluded.salt, hash = excluded.hash`,
      args: [uuidToBytes(aci), salt, hash],
    }
  }

  /** Changes nothing; unmet if the password is no longer this one. */
  standingOwn(aci: Aci, { hash }: SaltedHash): Statement {
    return {
      sql: 'UPDATE account_recovery_passwords SET hash = $1 WHERE aci = $2 AND hash = $3',
      args: [hash, uuidToBytes(aci), hash],
      must: 1,
    }
  }

  forgettingOwn(aci: Aci): Statement {
    return { sql: 'DELETE FROM account_recovery_passwords WHERE aci = $1', args: [uuidToBytes(aci)] }
  }

  async write(statements: readonly Statement[]): Promise<void> {
    await this.#sql.write(statements)
  }

  async expire(nowMs: number): Promise<void> {
    await this.write([{ sql: 'DELETE FROM recovery_passwords WHERE expires_at_ms <= $1', args: [nowMs] }])
  }
}
