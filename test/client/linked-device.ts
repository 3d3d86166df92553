// A second device without linking, which the server cannot do yet: written into its storage while it is down.
import { randomBytes } from 'node:crypto'
import { hashPassword } from '../../server/chat/accounts/device-password.ts'
import { AccountStore } from '../../server/chat/accounts/store.ts'
import { KeyStore } from '../../server/chat/keys/store.ts'
import { systemRandom } from '../../server/kit/random.ts'
import type { Aci, IdentityType } from '../../wire/types.ts'
import type { Constellation } from '../constellation.ts'
import { type IdentityKeys, makeIdentityKeys } from './identity-keys.ts'
import type { Registered } from './register.ts'

/** Adds a device to an account; the server restarts, so every connection to it ends. */
export async function addLinkedDevice(
  server: Constellation,
  primary: Registered,
  deviceId: number,
): Promise<Registered> {
  const aci = primary.aci.getServiceIdString() as Aci
  const keys = {
    aci: makeIdentityKeys(primary.keys.aci.pair),
    pni: makeIdentityKeys(primary.keys.pni.pair),
  }
  const linked = { ...primary, deviceId, password: randomBytes(18).toString('base64'), keys }
  await server.restart(async (sql) => {
    const accounts = new AccountStore(sql)
    const account = (await accounts.read(aci))!
    const device = {
      ...account.devices[0]!,
      id: deviceId,
      createdAtMs: Date.now(),
      registrationId: keys.aci.registrationId,
      pniRegistrationId: keys.pni.registrationId,
      ...hashPassword(linked.password, systemRandom),
    }
    const changed = { ...account, version: account.version + 1, devices: [...account.devices, device] }
    const store = new KeyStore(sql)
    const publish = (identity: IdentityType) =>
      store.storeRepeatedUse({ aci, identity, deviceId }, repeatedUse(keys[identity]))
    const written = await sql.write([...accounts.replacement(changed), publish('aci'), publish('pni')])
    if (!written.ok) throw new Error('the account changed meanwhile')
  })
  return linked
}

const repeatedUse = ({ signedPreKey, lastResortPreKey }: IdentityKeys) => ({
  ec: {
    keyId: signedPreKey.id(),
    publicKey: signedPreKey.publicKey().serialize(),
    signature: signedPreKey.signature(),
  },
  kem: {
    keyId: lastResortPreKey.id(),
    publicKey: lastResortPreKey.publicKey().serialize(),
    signature: lastResortPreKey.signature(),
  },
})
