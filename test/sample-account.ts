// Accounts as tests of stores and rules need them: everything is there, nothing is special.
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import type { Device, NumberedAccount } from '../server/chat/accounts/account.ts'
import { type Aci, type E164, type Pni, pniFromUuid } from '../wire/types.ts'

export const newAci = (): Aci => randomUUID() as Aci
export const newPni = (): Pni => pniFromUuid(randomUUID())
export const newNumber = (): E164 => `+4915${randomInt(10 ** 9, 10 ** 10)}` as E164

export const sampleDevice = (fields: Partial<Device> = {}): Device => ({
  id: 1,
  createdAtMs: 1_700_000_000_000,
  authSalt: randomBytes(16).toString('hex'),
  authHash: `2.${randomBytes(32).toString('hex')}`,
  registrationId: 1001,
  pniRegistrationId: 2001,
  name: undefined,
  capabilities: new Set(['spqr']),
  fetchesMessages: true,
  apnToken: undefined,
  fcmToken: undefined,
  webPush: undefined,
  pushSetAtMs: undefined,
  userAgent: undefined,
  lastSeenMs: 0,
  createdAtCiphertext: undefined,
  ...fields,
})

export const sampleAccount = (fields: Partial<NumberedAccount> = {}): NumberedAccount => ({
  aci: newAci(),
  pni: newPni(),
  e164: newNumber(),
  aciIdentityKey: randomBytes(33),
  pniIdentityKey: randomBytes(33),
  authCredentialSalt: undefined,
  unidentifiedAccessKey: randomBytes(16),
  unrestrictedUnidentifiedAccess: false,
  discoverableByPhoneNumber: true,
  createdAtMs: 1_700_000_000_000,
  usernameHash: undefined,
  usernameLinkHandle: undefined,
  registrationLock: undefined,
  version: 1,
  devices: [sampleDevice()],
  ...fields,
})
