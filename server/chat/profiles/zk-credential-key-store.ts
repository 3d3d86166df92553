import { type Aci, uuidToBytes } from '../../../wire/types.ts'
import type { Sql, Statement } from '../../kit/sql/sql.ts'

export type ZkCredentialKey = { readonly publicKey: Uint8Array; readonly rotationId: number }

export class ZkCredentialKeyStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async read(aci: Aci): Promise<ZkCredentialKey | undefined> {
    const [row] = await this.#sql.read(
      'SELECT public_key, rotation_id FROM zk_credential_keys WHERE aci = $1',
      [uuidToBytes(aci)],
    )
    return row && { publicKey: row['public_key'] as Uint8Array, rotationId: row['rotation_id'] as number }
  }

  /** Gives back the rotation id: of a key that is there already, its own. */
  set(aci: Aci, { publicKey, rotationId }: ZkCredentialKey): Statement {
    return {
      sql: `INSERT INTO zk_credential_keys (aci, public_key, rotation_id) VALUES ($1, $2, $3)
            ON CONFLICT (aci) DO UPDATE SET
              rotation_id = CASE WHEN zk_credential_keys.public_key = excluded.public_key
                THEN zk_credential_keys.rotation_id ELSE excluded.rotation_id END,
              public_key = excluded.public_key
            RETURNING rotation_id`,
      args: [uuidToBytes(aci), publicKey, rotationId],
    }
  }

  clear(aci: Aci): Statement {
    return { sql: 'DELETE FROM zk_credential_keys WHERE aci = $1', args: [uuidToBytes(aci)] }
  }
}
