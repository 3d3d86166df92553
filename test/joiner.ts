// Accounts and devices that join them, with the rules themselves: real keys, no door.
import assert from 'node:assert/strict'
import { type NumberedAccount, numbered } from '../server/chat/accounts/account.ts'
import type { Linkage } from '../server/chat/linking/linking.ts'
import type { NewDevice } from '../server/chat/linking/new-device.ts'
import { type Aci, type DeviceAddress, PRIMARY_DEVICE } from '../wire/types.ts'
import type { Rules } from './chat-rules.ts'
import type { IdentityKeys } from './client/identity-keys.ts'
import { type Keys, newKeys } from './person.ts'
import { sampleAccount, sampleDevice } from './sample-account.ts'

let made: Keys | undefined
/** The same for all tests of a file: making them takes longer than most tests. */
export const sharedKeys = (): Keys => {
  made ??= newKeys()
  return made
}

export const primaryOf = (aci: Aci): DeviceAddress => ({ aci, deviceId: PRIMARY_DEVICE })

/** An account whose identity keys can sign, with that many devices. */
export async function addOwner(
  { accounts }: Rules,
  {
    deviceCount = 1,
    keys = sharedKeys(),
    ...fields
  }: Partial<NumberedAccount> & { deviceCount?: number; keys?: Keys } = {},
): Promise<NumberedAccount> {
  const account = sampleAccount({
    aciIdentityKey: keys.aci.pair.publicKey.serialize(),
    pniIdentityKey: keys.pni.pair.publicKey.serialize(),
    devices: Array.from({ length: deviceCount }, (_, index) => sampleDevice({ id: index + 1 })),
    ...fields,
  })
  assert.ok(await accounts.put(account, []))
  return numbered((await accounts.find(account.aci))!)
}

export const newDevice = (fields: Partial<NewDevice> = {}, keys: Keys = sharedKeys()): NewDevice => ({
  password: 'a new password',
  name: undefined,
  registrationId: 301,
  pniRegistrationId: 302,
  capabilities: new Set(['spqr']),
  fetchesMessages: true,
  apnToken: undefined,
  fcmToken: undefined,
  keys: { aci: repeatedUse(keys.aci), pni: repeatedUse(keys.pni) },
  ...fields,
})

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

export async function tokenOf({ linking }: Rules, aci: Aci) {
  const made = await linking.token(primaryOf(aci))
  assert.ok(made.kind === 'token')
  return made
}

/** A device that joins, and must be taken. */
export async function join(rules: Rules, aci: Aci, device: NewDevice = newDevice()) {
  // Two tokens of one millisecond are one.
  rules.clock.advance(1)
  const linkage = await rules.linking.link((await tokenOf(rules, aci)).token, device)
  return linked(linkage)
}

export function linked(linkage: Linkage) {
  assert.ok(linkage.kind === 'linked', linkage.kind)
  return linkage
}
