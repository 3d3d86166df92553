import {
  type Aci,
  type Capability,
  compact,
  type DeviceId,
  type E164,
  type IdentityType,
  type Pni,
  pniFromUuid,
  uuidFromBytes,
  uuidOf,
  uuidToBytes,
} from '../../../wire/types.ts'
import type { WebSubscription } from '../../kit/push-gateway.ts'
import { outcomesOf, type Sql, type SqlRow, type SqlValue, type Statement } from '../../kit/sql/sql.ts'
import { type Account, type Device, identityKeyOf, type SaltedHash } from './account.ts'

const DEVICE_COLUMNS = `aci, device_id, created_at_ms, auth_salt, auth_hash, registration_id, pni_registration_id,
  name, capabilities, fetches_messages, apn_token, fcm_token, user_agent, last_seen_ms,
  created_at_ciphertext, push_set_at_ms, web_push`

/** One query, so that an account and its devices are of one moment. */
const SELECT_ACCOUNT = `SELECT accounts.*, device_id, devices.created_at_ms AS device_created_at_ms, auth_salt, auth_hash,
    registration_id, pni_registration_id, name, capabilities, fetches_messages, apn_token, fcm_token, user_agent,
    last_seen_ms, created_at_ciphertext, push_set_at_ms, web_push
  FROM accounts JOIN devices ON devices.aci = accounts.aci WHERE accounts.aci = $1 ORDER BY device_id`
const INSERT_DEVICE = `INSERT INTO devices (${DEVICE_COLUMNS})
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`

/** What the directory tells of an account that wants to be found. */
export type Listing = {
  /** The canonical form. */
  readonly e164: E164
  readonly pni: Pni
  readonly aci: Aci
  readonly unidentifiedAccessKey: Uint8Array | undefined
}

/** Owns the tables of accounts, devices and phone numbers' identities. */
export class AccountStore {
  private readonly sql: Sql

  constructor(sql: Sql) {
    this.sql = sql
  }

  async read(aci: Aci): Promise<Account | undefined> {
    const rows = await this.sql.read(SELECT_ACCOUNT, [uuidToBytes(aci)])
    return rows[0] && toAccount(rows[0], rows.map(toDevice))
  }

  async aciOf(pni: Pni): Promise<Aci | undefined> {
    const [row] = await this.sql.read('SELECT aci FROM account_pnis WHERE pni = $1', [
      uuidToBytes(uuidOf(pni)),
    ])
    return row && (uuidFromBytes(row['aci'] as Uint8Array) as Aci)
  }

  /** The identity of a number that was ever asked for. */
  async knownPniOf(e164: E164): Promise<Pni | undefined> {
    const [row] = await this.sql.read('SELECT pni FROM phone_numbers WHERE e164 = $1', [e164])
    return row && pniFromUuid(uuidFromBytes(row['pni'] as Uint8Array))
  }

  /** Whoever has one of these numbers and wants to be found by it: one query, whether there is somebody or not. */
  async listed(numbers: readonly E164[]): Promise<Listing[]> {
    const places = numbers.map((_, index) => `$${index + 1}`).join(', ')
    const rows = await this.sql.read(
      `SELECT phone_numbers.e164, account_pnis.pni, accounts.aci, accounts.unidentified_access_key
       FROM phone_numbers JOIN account_pnis ON account_pnis.pni = phone_numbers.pni
         JOIN accounts ON accounts.aci = account_pnis.aci
       WHERE phone_numbers.e164 IN (${places}) AND accounts.discoverable_by_phone_number = 1`,
      numbers,
    )
    return rows.map(toListing)
  }

  /** The identity of a number; `fresh` becomes it if the number has none yet. */
  async pniOf(e164: E164, fresh: Pni): Promise<Pni> {
    const known = await this.knownPniOf(e164)
    if (known) return known
    const written = await this.sql.write([
      {
        sql: `INSERT INTO phone_numbers (e164, pni) VALUES ($1, $2)
              ON CONFLICT (e164) DO UPDATE SET pni = phone_numbers.pni RETURNING pni`,
        args: [e164, uuidToBytes(uuidOf(fresh))],
      },
    ])
    return pniFromUuid(uuidFromBytes(outcomesOf(written)[0]!.rows[0]!['pni'] as Uint8Array))
  }

  /** Adds an account; unmet at 0 if somebody holds its PNI already. */
  creation(account: Account): Statement[] {
    return [
      ...(account.pni ? [this.#holding(account.aci, account.pni)] : []),
      {
        sql: `INSERT INTO accounts (version, e164, pni, aci_identity_key, pni_identity_key, unidentified_access_key,
                unrestricted_unidentified_access, discoverable_by_phone_number, created_at_ms, username_hash,
                username_link_handle, registration_lock_salt, registration_lock_hash, auth_credential_salt, aci)
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
        args: [...accountValues(account), uuidToBytes(account.aci)],
      },
      ...account.devices.map((device) => ({ sql: INSERT_DEVICE, args: deviceValues(account.aci, device) })),
    ]
  }

  /** Replaces an account and all its devices; unmet at 0 if it is no longer at the version before this one. */
  replacement(account: Account): Statement[] {
    const aci = uuidToBytes(account.aci)
    return [
      {
        sql: `UPDATE accounts SET version = $1, e164 = $2, pni = $3, aci_identity_key = $4, pni_identity_key = $5,
                unidentified_access_key = $6, unrestricted_unidentified_access = $7,
                discoverable_by_phone_number = $8, created_at_ms = $9, username_hash = $10,
                username_link_handle = $11, registration_lock_salt = $12, registration_lock_hash = $13,
                auth_credential_salt = $14
              WHERE aci = $15 AND version = $16`,
        args: [...accountValues(account), aci, account.version - 1],
        must: 1,
      },
      { sql: 'DELETE FROM devices WHERE aci = $1', args: [aci] },
      ...account.devices.map((device) => ({ sql: INSERT_DEVICE, args: deviceValues(account.aci, device) })),
    ]
  }

  /** Changes nothing; unmet if the account is no longer at this version. */
  standing(account: Account): Statement {
    return {
      sql: 'UPDATE accounts SET version = version WHERE aci = $1 AND version = $2',
      args: [uuidToBytes(account.aci), account.version],
      must: 1,
    }
  }

  /** Removes an account; unmet at 0 if it is no longer at this version. */
  deletion(account: Account): Statement[] {
    const aci = uuidToBytes(account.aci)
    return [
      {
        sql: 'DELETE FROM accounts WHERE aci = $1 AND version = $2',
        args: [aci, account.version],
        must: 1,
      },
      { sql: 'DELETE FROM devices WHERE aci = $1', args: [aci] },
      ...(account.pni ? [this.#leaving(account.aci, account.pni)] : []),
    ]
  }

  #holding(aci: Aci, pni: Pni): Statement {
    return {
      sql: 'INSERT INTO account_pnis (pni, aci) VALUES ($1, $2) ON CONFLICT (pni) DO NOTHING',
      args: [uuidToBytes(uuidOf(pni)), uuidToBytes(aci)],
      must: 1,
    }
  }

  #leaving(aci: Aci, pni: Pni): Statement {
    return {
      sql: 'DELETE FROM account_pnis WHERE pni = $1 AND aci = $2',
      args: [uuidToBytes(uuidOf(pni)), uuidToBytes(aci)],
    }
  }

  /** Gives an account another identity of a number; unmet if either is not as it was. */
  handover(aci: Aci, from: Pni, to: Pni): Statement[] {
    return [{ ...this.#leaving(aci, from), must: 1 }, this.#holding(aci, to)]
  }

  /** Remembers whose a number's identity was, until `expiresAtMs`. */
  remembering(pni: Pni, aci: Aci, expiresAtMs: number): Statement {
    return {
      sql: `INSERT INTO deleted_accounts (pni, aci, expires_at_ms) VALUES ($1, $2, $3)
            ON CONFLICT (pni) DO UPDATE SET aci = excluded.aci, expires_at_ms = excluded.expires_at_ms`,
      args: [uuidToBytes(uuidOf(pni)), uuidToBytes(aci), expiresAtMs],
    }
  }

  /** Takes a deleted account's identity for a new one; unmet if it is no longer there to be taken. */
  reclaiming(pni: Pni, aci: Aci): Statement {
    return {
      sql: 'DELETE FROM deleted_accounts WHERE pni = $1 AND aci = $2',
      args: [uuidToBytes(uuidOf(pni)), uuidToBytes(aci)],
      must: 1,
    }
  }

  forgetting(pni: Pni): Statement {
    return { sql: 'DELETE FROM deleted_accounts WHERE pni = $1', args: [uuidToBytes(uuidOf(pni))] }
  }

  /** The account that held a number's identity last, if it was deleted and is still remembered. */
  async deletedAci(pni: Pni, nowMs: number): Promise<Aci | undefined> {
    const [row] = await this.sql.read(
      'SELECT aci FROM deleted_accounts WHERE pni = $1 AND expires_at_ms > $2',
      [uuidToBytes(uuidOf(pni)), nowMs],
    )
    return row && (uuidFromBytes(row['aci'] as Uint8Array) as Aci)
  }

  async forgetExpired(nowMs: number): Promise<void> {
    await this.sql.write([{ sql: 'DELETE FROM deleted_accounts WHERE expires_at_ms <= $1', args: [nowMs] }])
  }

  /** Changes nothing, but holds the row until the transaction ends; unmet if that device is not there. */
  presence(aci: Aci, device: Device): Statement {
    return {
      sql: `UPDATE devices SET created_at_ms = $1 WHERE aci = $2 AND device_id = $3 AND created_at_ms = $4`,
      args: [device.createdAtMs, uuidToBytes(aci), device.id, device.createdAtMs],
      must: 1,
    }
  }

  /** The same for an identity key; unmet if the account has another by now. */
  identityStanding(account: Account, identity: IdentityType): Statement {
    const column = identity === 'aci' ? 'aci_identity_key' : 'pni_identity_key'
    const key = identityKeyOf(account, identity)
    return {
      sql: `UPDATE accounts SET ${column} = $1 WHERE aci = $2 AND ${column} = $3`,
      args: [key, uuidToBytes(account.aci), key],
      must: 1,
    }
  }

  /** Notes the day of a device's last visit; it does not count as a write of the account. */
  async touch(aci: Aci, device: DeviceId, lastSeenMs: number): Promise<void> {
    await this.sql.write([
      {
        sql: 'UPDATE devices SET last_seen_ms = $1 WHERE aci = $2 AND device_id = $3 AND last_seen_ms < $4',
        args: [lastSeenMs, uuidToBytes(aci), device, lastSeenMs],
      },
    ])
  }
}

const accountValues = (account: Account): SqlValue[] => [
  account.version,
  account.e164 ?? null,
  account.pni === undefined ? null : uuidToBytes(uuidOf(account.pni)),
  account.aciIdentityKey,
  account.pniIdentityKey ?? null,
  account.unidentifiedAccessKey ?? null,
  Number(account.unrestrictedUnidentifiedAccess),
  Number(account.discoverableByPhoneNumber),
  account.createdAtMs,
  account.usernameHash ?? null,
  account.usernameLinkHandle ?? null,
  account.registrationLock?.salt ?? null,
  account.registrationLock?.hash ?? null,
  account.authCredentialSalt ?? null,
]

const deviceValues = (aci: Aci, device: Device): SqlValue[] => [
  uuidToBytes(aci),
  device.id,
  device.createdAtMs,
  device.authSalt,
  device.authHash,
  device.registrationId,
  device.pniRegistrationId ?? null,
  device.name ?? null,
  [...device.capabilities].join(' '),
  Number(device.fetchesMessages),
  device.apnToken ?? null,
  device.fcmToken ?? null,
  device.userAgent ?? null,
  device.lastSeenMs,
  device.createdAtCiphertext ?? null,
  device.pushSetAtMs ?? null,
  device.webPush ? webPushText(device.webPush) : null,
]

const webPushText = ({ endpoint, keys }: WebSubscription): string =>
  JSON.stringify({
    endpoint,
    ...(keys && { p256dh: base64url(keys.p256dh), auth: base64url(keys.auth) }),
  })
const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

function webPushOf(text: string | null): WebSubscription | undefined {
  if (text === null) return undefined
  const { endpoint, p256dh, auth } = JSON.parse(text)
  const bytes = (one: string) => compact(Buffer.from(one, 'base64url'))
  return { endpoint, keys: p256dh === undefined ? undefined : { p256dh: bytes(p256dh), auth: bytes(auth) } }
}

/** Accounts are kept in memory, apart from the answer that they came in. */
const optional = (bytes: SqlValue | undefined): Uint8Array | undefined =>
  bytes instanceof Uint8Array ? compact(bytes) : undefined

const toSaltedHash = (salt: SqlValue | undefined, hash: SqlValue | undefined): SaltedHash | undefined =>
  typeof salt === 'string' && typeof hash === 'string' ? { salt, hash } : undefined

const toListing = (row: SqlRow): Listing => ({
  e164: row['e164'] as E164,
  pni: pniFromUuid(uuidFromBytes(row['pni'] as Uint8Array)),
  aci: uuidFromBytes(row['aci'] as Uint8Array) as Aci,
  unidentifiedAccessKey: optional(row['unidentified_access_key']),
})

const toAccount = (row: SqlRow, devices: Device[]): Account => ({
  aci: uuidFromBytes(row['aci'] as Uint8Array) as Aci,
  pni: row['pni'] instanceof Uint8Array ? pniFromUuid(uuidFromBytes(row['pni'])) : undefined,
  e164: (row['e164'] as E164 | null) ?? undefined,
  aciIdentityKey: compact(row['aci_identity_key'] as Uint8Array),
  pniIdentityKey: optional(row['pni_identity_key']),
  authCredentialSalt: optional(row['auth_credential_salt']),
  unidentifiedAccessKey: optional(row['unidentified_access_key']),
  unrestrictedUnidentifiedAccess: row['unrestricted_unidentified_access'] === 1,
  discoverableByPhoneNumber: row['discoverable_by_phone_number'] === 1,
  createdAtMs: row['created_at_ms'] as number,
  usernameHash: optional(row['username_hash']),
  usernameLinkHandle: (row['username_link_handle'] as string | null) ?? undefined,
  registrationLock: toSaltedHash(row['registration_lock_salt'], row['registration_lock_hash']),
  version: row['version'] as number,
  devices,
})

const toDevice = (row: SqlRow): Device => ({
  id: row['device_id'] as number,
  createdAtMs: row['device_created_at_ms'] as number,
  authSalt: row['auth_salt'] as string,
  authHash: row['auth_hash'] as string,
  registrationId: row['registration_id'] as number,
  pniRegistrationId: (row['pni_registration_id'] as number | null) ?? undefined,
  name: optional(row['name']),
  capabilities: new Set((row['capabilities'] as string).split(' ').filter(Boolean) as Capability[]),
  fetchesMessages: row['fetches_messages'] === 1,
  apnToken: (row['apn_token'] as string | null) ?? undefined,
  fcmToken: (row['fcm_token'] as string | null) ?? undefined,
  userAgent: (row['user_agent'] as string | null) ?? undefined,
  lastSeenMs: row['last_seen_ms'] as number,
  createdAtCiphertext: optional(row['created_at_ciphertext']),
  pushSetAtMs: (row['push_set_at_ms'] as number | null) ?? undefined,
  webPush: webPushOf(row['web_push'] as string | null),
})
