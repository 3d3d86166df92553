import { type Aci, type DeviceId, type IdentityType, uuidToBytes } from '../../../wire/types.ts'
import { outcomesOf, type Sql, type SqlRow, type SqlValue, type Statement } from '../../kit/sql/sql.ts'
import type { EcPreKey, SignedPreKey } from './pre-key.ts'

/** Whose keys: one identity of one device. */
export type KeyOwner = { readonly aci: Aci; readonly identity: IdentityType; readonly deviceId: DeviceId }

/** The keys that are handed out again and again: the signed EC key and the last-resort Kyber key. */
export type RepeatedUseKeys = { readonly ec: SignedPreKey; readonly kem: SignedPreKey }

const OF = 'aci = $1 AND identity = $2 AND device_id = $3'
const ownerArgs = (owner: KeyOwner): SqlValue[] => [uuidToBytes(owner.aci), owner.identity, owner.deviceId]
const ONE_TIME_TABLES = ['one_time_ec_pre_keys', 'one_time_kem_pre_keys'] as const
const TABLES = ['repeated_use_pre_keys', ...ONE_TIME_TABLES] as const

/** The law: a one-time key leaves the table in the statement that reads it. */
export class KeyStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** False if a condition did not hold; then nothing was kept. */
  async write(statements: readonly Statement[]): Promise<boolean> {
    return (await this.#sql.write(statements)).ok
  }

  storeRepeatedUse(owner: KeyOwner, keys: RepeatedUseKeys): Statement {
    return {
      sql: `INSERT INTO repeated_use_pre_keys (aci, identity, device_id, ec_key_id, ec_public_key, ec_signature,
              kem_key_id, kem_public_key, kem_signature) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (aci, identity, device_id) DO UPDATE SET ec_key_id = excluded.ec_key_id,
              ec_public_key = excluded.ec_public_key, ec_signature = excluded.ec_signature,
              kem_key_id = excluded.kem_key_id, kem_public_key = excluded.kem_public_key,
              kem_signature = excluded.kem_signature`,
      args: [...ownerArgs(owner), ...signedArgs(keys.ec), ...signedArgs(keys.kem)],
    }
  }

  storeSigned(owner: KeyOwner, key: SignedPreKey): Statement {
    return {
      sql: `UPDATE repeated_use_pre_keys SET ec_key_id = $4, ec_public_key = $5, ec_signature = $6 WHERE ${OF}`,
      args: [...ownerArgs(owner), ...signedArgs(key)],
    }
  }

  storeLastResort(owner: KeyOwner, key: SignedPreKey): Statement {
    return {
      sql: `UPDATE repeated_use_pre_keys SET kem_key_id = $4, kem_public_key = $5, kem_signature = $6 WHERE ${OF}`,
      args: [...ownerArgs(owner), ...signedArgs(key)],
    }
  }

  replaceEc(owner: KeyOwner, keys: readonly EcPreKey[]): Statement[] {
    return [
      { sql: `DELETE FROM one_time_ec_pre_keys WHERE ${OF}`, args: ownerArgs(owner) },
      ...keys.map((key) => ({
        sql: `INSERT INTO one_time_ec_pre_keys (aci, identity, device_id, key_id, public_key)
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (aci, identity, device_id, key_id)
              DO UPDATE SET public_key = excluded.public_key`,
        args: [...ownerArgs(owner), key.keyId, key.publicKey],
      })),
    ]
  }

  replaceKem(owner: KeyOwner, keys: readonly SignedPreKey[]): Statement[] {
    return [
      { sql: `DELETE FROM one_time_kem_pre_keys WHERE ${OF}`, args: ownerArgs(owner) },
      ...keys.map((key) => ({
        sql: `INSERT INTO one_time_kem_pre_keys (aci, identity, device_id, key_id, public_key, signature)
              VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (aci, identity, device_id, key_id)
              DO UPDATE SET public_key = excluded.public_key, signature = excluded.signature`,
        args: [...ownerArgs(owner), ...signedArgs(key)],
      })),
    ]
  }

  /** Every key of a device, both identities. */
  clearDevice(aci: Aci, deviceId: DeviceId): Statement[] {
    return TABLES.map((table) => ({
      sql: `DELETE FROM ${table} WHERE aci = $1 AND device_id = $2`,
      args: [uuidToBytes(aci), deviceId],
    }))
  }

  /** Every one-time key of one identity, all devices. */
  clearOneTime(aci: Aci, identity: IdentityType): Statement[] {
    return ONE_TIME_TABLES.map((table) => ({
      sql: `DELETE FROM ${table} WHERE aci = $1 AND identity = $2`,
      args: [uuidToBytes(aci), identity],
    }))
  }

  /** Every key of an account, both identities, all devices. */
  clear(aci: Aci): Statement[] {
    return TABLES.map((table) => ({ sql: `DELETE FROM ${table} WHERE aci = $1`, args: [uuidToBytes(aci)] }))
  }

  async count(owner: KeyOwner): Promise<{ ec: number; kem: number }> {
    const [row] = await this.#sql.read(
      `SELECT (SELECT COUNT(*) FROM one_time_ec_pre_keys WHERE ${OF}) AS ec,
              (SELECT COUNT(*) FROM one_time_kem_pre_keys WHERE ${OF}) AS kem`,
      ownerArgs(owner),
    )
    return { ec: row!['ec'] as number, kem: row!['kem'] as number }
  }

  async repeatedUse(owner: KeyOwner): Promise<RepeatedUseKeys | undefined> {
    const [row] = await this.#sql.read(`SELECT * FROM repeated_use_pre_keys WHERE ${OF}`, ownerArgs(owner))
    return row && { ec: toSigned(row, 'ec_'), kem: toSigned(row, 'kem_') }
  }

  /** Takes one EC and one Kyber key out of each owner's store, lowest id first, if there are any. */
  async take(
    owners: readonly KeyOwner[],
  ): Promise<{ ec: EcPreKey | undefined; kem: SignedPreKey | undefined }[]> {
    const takes = owners.flatMap((owner) => [takeEc(owner), takeKem(owner)])
    const outcomes = outcomesOf(await this.#sql.write(takes))
    return owners.map((_, index) => {
      const ec = outcomes[2 * index]?.rows[0]
      const kem = outcomes[2 * index + 1]?.rows[0]
      return {
        ec: ec && { keyId: ec['key_id'] as number, publicKey: ec['public_key'] as Uint8Array },
        kem: kem && toSigned(kem, ''),
      }
    })
  }
}

const lowest = (table: string) => `DELETE FROM ${table} WHERE ${OF} AND key_id =
  (SELECT MIN(key_id) FROM ${table} WHERE ${OF})`

const takeEc = (owner: KeyOwner): Statement => ({
  sql: `${lowest('one_time_ec_pre_keys')} RETURNING key_id, public_key`,
  args: ownerArgs(owner),
})

const takeKem = (owner: KeyOwner): Statement => ({
  sql: `${lowest('one_time_kem_pre_keys')} RETURNING key_id, public_key, signature`,
  args: ownerArgs(owner),
})

const signedArgs = (key: SignedPreKey): SqlValue[] => [key.keyId, key.publicKey, key.signature]

const toSigned = (row: SqlRow, prefix: '' | 'ec_' | 'kem_'): SignedPreKey => ({
  keyId: row[`${prefix}key_id`] as number,
  publicKey: row[`${prefix}public_key`] as Uint8Array,
  signature: row[`${prefix}signature`] as Uint8Array,
})
