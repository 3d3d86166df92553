// Accounts without a phone number, as libsignal registers, uses and recovers them (docs/protocol/invites.md).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  AuthCredentialWithPniResponse,
  ClientZkAuthOperations,
  ReceiptCredentialPresentation,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { z } from 'zod'
import { askServer } from '../../server/kit/control.ts'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { base64 } from '../client/identity-keys.ts'
import { linkBody, newKeysOf } from '../client/linked-device.ts'
import { openNet } from '../client/net.ts'
import { newNumber } from '../client/register.ts'
import { registrationBody } from '../client/registration-body.ts'
import { SignalClient } from '../client/signal-client.ts'
import { bytesOf, publicParamsOf, showGroup, startOfDay } from '../client/week.ts'
import {
  buyReceipt,
  joinBy,
  newcomer,
  receiptContext,
  showReceipt,
  type Unnumbered,
} from '../client/without-number.ts'
import { Constellation } from '../constellation.ts'
import { receiptPresentation } from '../receipt.ts'

let server: Constellation
let https: Https
before(async () => {
  server = await Constellation.open({ config: { registration: { mode: 'invite' } } })
  https = Https.open(server.ready, 2)
})
after(async () => {
  await https[Symbol.asyncDispose]()
  await server.close()
})

const made = z.object({ id: z.string(), code: z.string() })
const ask = (name: string, value: unknown) =>
  askServer(dirname(server.ready.outbox), name, value, z.unknown())
const invite = async (change: object = {}) =>
  made.parse(await ask('invite create', { uses: 1, days: 1, number: null, note: '', ...change }))
const usesLeft = async (id: string) => {
  const invites = (await ask('invite list', null)) as { id: string; usesLeft: number }[]
  return invites.find((one) => one.id === id)?.usesLeft
}

const failsWith = (code: LS.ErrorCode) => (error: unknown) => {
  assert.equal((error as LS.LibSignalError).code, code, String(error))
  return true
}

async function join(): Promise<Unnumbered> {
  const { code } = await invite()
  return (await joinBy(server, showReceipt(server, await buyReceipt(server, code)))).account
}

/** Registers an account again by what it knows. */
const recover = (account: Unnumbered, password = account.recoveryPassword, oneTimePassword?: number) => {
  const { request, registered } = newcomer(password)
  const net = openNet(server.ready, 2)
  const asked = oneTimePassword === undefined ? {} : { oneTimePassword }
  return net
    .reregisterAccountWithoutNumber({ ...request, aci: account.aci, ...asked })
    .then((response) => ({ response, account: registered(response) }))
}

test('an invite gives a receipt, and the receipt an account without a number', async () => {
  const { id, code } = await invite()
  const credential = await buyReceipt(server, code)
  assert.equal(credential.getReceiptLevel(), 300n)
  assert.equal(await usesLeft(id), 0)
  const { response, account } = await joinBy(server, showReceipt(server, credential))
  assert.deepEqual([response.number, response.pni, response.reregistration], [null, null, false])
  assert.equal(response.authCredentialSalt?.length, 16)
  const { json } = await https.call('GET', '/v1/accounts/whoami', { headers: authorizationOf(account) })
  assert.deepEqual([json.uuid, json.number, json.pni], [account.aci.getServiceIdString(), null, null])
  assert.equal(json.authCredentialSalt, base64(account.salt))
})

test('a receipt that was paid comes again for the same request, and for no other', async () => {
  const { id, code } = await invite()
  const context = receiptContext(server)
  const both = [
    await buyReceipt(server, code, context),
    await buyReceipt(server, code.toUpperCase(), context),
  ]
  assert.equal(both[0]!.getReceiptExpirationTime(), both[1]!.getReceiptExpirationTime())
  await assert.rejects(
    buyReceipt(server, code),
    failsWith(LS.ErrorCode.ReceiptCredentialErrorReceiptAlreadyIssued),
  )
  assert.equal(await usesLeft(id), 0)
  // Both show the same serial: they are one.
  await joinBy(server, showReceipt(server, both[0]!))
  await assert.rejects(
    joinBy(server, showReceipt(server, both[1]!)),
    failsWith(LS.ErrorCode.RegistrationInvalidReceipt),
  )
})

test('no invite, one for a number, and one taken back give no receipt', async () => {
  const { code } = await invite({ number: newNumber() })
  const gone = await invite()
  await ask('invite revoke', { id: gone.id })
  for (const wrong of ['nothing', '0'.repeat(32), code, gone.code])
    await assert.rejects(
      buyReceipt(server, wrong),
      failsWith(LS.ErrorCode.ReceiptCredentialErrorPaymentNotFound),
      wrong,
    )
})

test('a receipt that is forged, of another level, over or used is refused, and none is lost by a failure', async () => {
  const { serverSecretParams: params } = await server.secrets()
  const year = startOfDay() + 365 * 86_400
  const spoilt = receiptPresentation(params, year, 300n)
  spoilt[spoilt.length - 1]! ^= 1
  for (const [what, bytes] of [
    ['cut', spoilt.subarray(1)],
    ['spoilt', spoilt],
    ['of a backup', receiptPresentation(params, year, 201n)],
    ['over', receiptPresentation(params, startOfDay(), 300n)],
  ] as const) {
    const body = bodyOf(bytes)
    assert.equal((await post('__no_number__', body)).status, what === 'cut' ? 400 : 401, what)
  }
  const good = receiptPresentation(params, year, 300n)
  const { accountAttributes, ...rest } = bodyOf(good)
  const forgetful = { ...rest, accountAttributes: { ...accountAttributes, recoveryPassword: undefined } }
  assert.equal((await post('__no_number__', forgetful)).status, 422)
  const two = { ...rest, accountAttributes, sessionId: 'x' }
  assert.equal((await post('__no_number__', two)).status, 422)
  await ask('registration stop', null)
  assert.equal((await post('__no_number__', bodyOf(good))).status, 503)
  await ask('registration start', null)
  const both = await Promise.all([1, 2].map(() => post('__no_number__', bodyOf(good))))
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 401])
})

/** What libsignal would send, to be spoilt. */
function bodyOf(presentation: Uint8Array) {
  const {
    sessionId: _,
    pniIdentityKey,
    pniSignedPreKey,
    pniPqLastResortPreKey,
    ...rest
  } = registrationBody('')
  return { ...rest, receiptCredentialPresentation: base64(presentation) }
}
const post = (username: string, json: object) =>
  https.call('POST', '/v1/registration', { headers: { authorization: basic(username, 'password') }, json })

test('who has no number writes and is written to', async () => {
  await using ada = new SignalClient(server, await join(), 2)
  await using boris = new SignalClient(server, await join(), 2)
  await ada.connect()
  await boris.connect()
  for (const sealed of [false, true]) {
    await ada.sendText(boris, `hello, sealed: ${sealed}`, { sealed })
    const heard = await boris.messages.next()
    assert.deepEqual([heard.text, heard.from], [`hello, sealed: ${sealed}`, ada.aci.getServiceIdString()])
    await boris.sendText(ada, 'and back', { sealed })
    assert.equal((await ada.messages.next()).text, 'and back')
  }
})

test('what belongs to a number is not there: 400, and nothing happens', async () => {
  const account = await join()
  const headers = authorizationOf(account)
  const call = async (method: string, path: string, json?: object) =>
    (await https.call(method, path, { headers, ...(json && { json }) })).status
  const signed = { keyId: 1, publicKey: base64(randomBytes(33)), signature: base64(randomBytes(64)) }
  assert.equal(
    await call('PUT', '/v1/accounts/registration_lock', { registrationLock: 'ab'.repeat(32) }),
    400,
  )
  const discoverable = { discoverableByPhoneNumber: true }
  assert.equal(await call('PUT', '/v2/accounts/phone_number_discoverability', discoverable), 400)
  assert.equal(await call('GET', '/v1/certificate/delivery?includeE164=true'), 400)
  assert.equal(await call('GET', '/v1/certificate/delivery?includeE164=false'), 200)
  assert.equal(await call('PUT', '/v2/keys?identity=pni', { signedPreKey: signed }), 400)
  assert.deepEqual((await https.call('GET', '/v2/keys?identity=pni', { headers })).json, {
    count: 0,
    pqCount: 0,
  })
  const number = newNumber()
  const { pniIdentityKey, pniSignedPreKey, pniPqLastResortPreKey } = registrationBody('')
  const change = {
    ...{ number, recoveryPassword: base64(account.recoveryPassword), deviceMessages: [], pniIdentityKey },
    devicePniSignedPrekeys: { 1: pniSignedPreKey },
    devicePniPqLastResortPrekeys: { 1: pniPqLastResortPreKey },
    pniRegistrationIds: { 1: 1 },
  }
  assert.equal(await call('PUT', '/v2/accounts/number', change), 400)
  const { json } = await https.call('GET', '/v2/accounts/data_report', { headers })
  assert.equal(json.data.account.phoneNumber, null)
  assert.equal(json.data.account.findAccountByPhoneNumber, false)
  assert.match(json.text, /Phone number: none/)
})

test('its credentials for groups carry the salt in the place of the PNI', async () => {
  const { aci, salt, ...account } = await join()
  const day = startOfDay()
  const query = `redemptionStartSeconds=${day}&redemptionEndSeconds=${day + 86_400}`
  const headers = authorizationOf({ ...account, aci })
  const { json } = await https.call('GET', `/v1/certificate/auth/group?${query}`, { headers })
  assert.equal(json.pni, null)
  assert.equal(json.credentials.length, 2)
  const params = publicParamsOf(server.ready.keys)
  const operations = new ClientZkAuthOperations(params.server)
  const receive = (own: Uint8Array<ArrayBuffer>) =>
    operations.receiveAuthCredentialWithoutPni(
      aci,
      own,
      json.credentials[0].redemptionTime,
      new AuthCredentialWithPniResponse(bytesOf(json.credentials[0].credential)),
    )
  showGroup(receive(salt), params, await server.secrets(), day)
  assert.throws(() => receive(new Uint8Array(randomBytes(16))))
})

test('libsignal gets an account back by its recovery password, with a new salt, and the old device is out', async () => {
  const account = await join()
  await using client = new SignalClient(server, account, 2)
  await client.connect()
  const wrong = new Uint8Array(randomBytes(32))
  await assert.rejects(
    recover(account, wrong),
    failsWith(LS.ErrorCode.RegistrationRecoveryVerificationFailed),
  )
  await assert.rejects(
    recover({ ...account, aci: LS.Aci.fromUuid(crypto.randomUUID()) }),
    failsWith(LS.ErrorCode.RegistrationRecoveryVerificationFailed),
  )
  const { response, account: again } = await recover(account)
  assert.deepEqual([response.reregistration, response.pni, response.number], [true, null, null])
  assert.equal(again.aci.getServiceIdString(), account.aci.getServiceIdString())
  assert.notDeepEqual(again.salt, account.salt)
  await client.link.interrupted()
  const whoami = (one: Unnumbered) =>
    https.call('GET', '/v1/accounts/whoami', { headers: authorizationOf(one) })
  assert.equal((await whoami(account)).status, 401)
  assert.equal((await whoami(again)).status, 200)
})

test('an account with a number comes back by its ACI too, and keeps the number', async () => {
  const number = newNumber()
  const { digits } = z
    .object({ digits: z.string() })
    .parse(await ask('invite create', { uses: 1, days: 1, number, note: '' }))
  const service = await openNet(server.ready, 2).createRegistrationSession({ e164: number })
  await service.requestVerification({ transport: 'sms', client: 'ios', languages: [] })
  assert.ok(await service.verifySession(digits))
  const recoveryPassword = base64(randomBytes(32))
  const { sessionId: _, ...body } = registrationBody('')
  const accountAttributes = { ...body.accountAttributes, recoveryPassword }
  const first = await post(number, { ...body, accountAttributes, sessionId: service.sessionId })
  assert.equal(first.status, 200)
  const { accountAttributes: fresh, ...keys } = registrationBody('')
  const again = {
    ...keys,
    sessionId: undefined,
    recoveryPassword,
    accountAttributes: { ...fresh, recoveryPassword },
  }
  const { status, json } = await post(first.json.uuid, again)
  assert.equal(status, 200)
  assert.deepEqual([json.uuid, json.number, json.pni], [first.json.uuid, number, first.json.pni])
  assert.equal(json.authCredentialSalt, undefined)
})

test('a device that is linked must know that there may be no number', async () => {
  const account = await join()
  const headers = authorizationOf(account)
  const link = async (capabilities: string[], pni: boolean) => {
    const { json } = await https.call('GET', '/v1/devices/provisioning/code', { headers })
    const body = linkBody(json.verificationCode, newKeysOf(account), { capabilities })
    const { pniSignedPreKey, pniPqLastResortPreKey, ...rest } = body
    return https.call('PUT', '/v1/devices/link', {
      headers: { authorization: basic('x', 'password') },
      json: pni ? body : rest,
    })
  }
  assert.equal((await link(['spqr'], true)).status, 409)
  assert.equal((await link(['spqr', 'optionalPhoneNumber'], true)).status, 422)
  const { status, json } = await link(['spqr', 'optionalPhoneNumber'], false)
  assert.equal(status, 200)
  assert.deepEqual(json, { uuid: account.aci.getServiceIdString(), pni: null, deviceId: 2 })
  const password = { authorization: basic(`${account.aci.getServiceIdString()}.2`, 'password') }
  assert.equal((await https.call('GET', '/v1/accounts/whoami', { headers: password })).status, 200)
})

test('a closed server makes no account without a number', async () => {
  await using closed = await Constellation.open({ config: { registration: { mode: 'closed' } } })
  const { serverSecretParams } = await closed.secrets()
  const bytes = receiptPresentation(serverSecretParams, startOfDay() + 86_400 * 30, 300n)
  await assert.rejects(joinBy(closed, new ReceiptCredentialPresentation(bytes)), (error: unknown) => {
    assert.ok(error instanceof Error)
    return true
  })
})

test('nothing of a deleted account without a number is left', async () => {
  const account = await join()
  const headers = authorizationOf(account)
  assert.equal((await https.call('DELETE', '/v1/accounts/me', { headers })).status, 204)
  await assert.rejects(recover(account), failsWith(LS.ErrorCode.RegistrationRecoveryVerificationFailed))
  assert.equal((await https.call('GET', '/v1/accounts/whoami', { headers })).status, 401)
})
