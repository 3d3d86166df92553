import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { forEachEngine, temporaryFolder } from '../../../test/engines.ts'
import { newAci, newPni } from '../../../test/sample-account.ts'
import { uuidOf, uuidToBytes } from '../../../wire/types.ts'
import { migrate } from '../../kit/sql/migrate.ts'
import { AccountStore } from './store.ts'

const MIGRATIONS = join(import.meta.dirname, '..', 'migrations')
/** From here on an account may have no number. */
const ANEW = '0065'

forEachEngine('accounts from before there were some without a number are what they were', async (open, t) => {
  const sql = await open()
  const old = join(await temporaryFolder(t), 'migrations')
  await mkdir(old)
  for (const name of await readdir(MIGRATIONS))
    if (name < ANEW) await copyFile(join(MIGRATIONS, name), join(old, name))
  await migrate(sql, 'chat', old, 1)
  const [aci, pni, key] = [newAci(), newPni(), randomBytes(33)]
  const id = uuidToBytes(aci)
  await sql.write([
    {
      sql: `INSERT INTO accounts (aci, version, e164, pni, aci_identity_key, pni_identity_key, unidentified_access_key,
              unrestricted_unidentified_access, discoverable_by_phone_number, created_at_ms, username_link_handle,
              registration_lock_salt, registration_lock_hash)
            VALUES ($1, 7, '+12025550143', $2, $3, $3, NULL, 1, 1, 5, 'handle', 'salt', 'hash')`,
      args: [id, uuidToBytes(uuidOf(pni)), key],
    },
    {
      sql: `INSERT INTO devices (aci, device_id, created_at_ms, auth_salt, auth_hash, registration_id,
              pni_registration_id, name, capabilities, fetches_messages, apn_token, user_agent, last_seen_ms,
              created_at_ciphertext)
            VALUES ($1, 2, 9, 'salt', 'hash', 11, 12, $2, 'spqr', 1, 'token', 'OWA', 3, $2)`,
      args: [id, key],
    },
  ])
  await migrate(sql, 'chat', MIGRATIONS, 2)
  const account = await new AccountStore(sql).read(aci)
  assert.ok(account)
  const { devices, ...rest } = account
  const bytes = new Uint8Array(key)
  assert.deepEqual(
    { ...rest, aciIdentityKey: undefined, pniIdentityKey: undefined },
    {
      ...{ aci, pni, e164: '+12025550143', version: 7, createdAtMs: 5 },
      ...{ aciIdentityKey: undefined, pniIdentityKey: undefined, authCredentialSalt: undefined },
      ...{ unidentifiedAccessKey: undefined, unrestrictedUnidentifiedAccess: true },
      ...{ discoverableByPhoneNumber: true, usernameHash: undefined, usernameLinkHandle: 'handle' },
      registrationLock: { salt: 'salt', hash: 'hash' },
    },
  )
  for (const stored of [
    account.aciIdentityKey,
    account.pniIdentityKey!,
    devices[0]!.name!,
    devices[0]!.createdAtCiphertext!,
  ])
    assert.deepEqual(new Uint8Array(stored), bytes)
  const [device] = devices
  assert.deepEqual(
    [device?.id, device?.createdAtMs, device?.authSalt, device?.authHash, device?.registrationId],
    [2, 9, 'salt', 'hash', 11],
  )
  assert.deepEqual(
    [device?.pniRegistrationId, device?.apnToken, device?.userAgent, device?.lastSeenMs],
    [12, 'token', 'OWA', 3],
  )
})
