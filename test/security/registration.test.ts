// Numbers change hands, answers get lost, sessions are guessed: who has an account then (cases R3, R5, M7).
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { applicant } from '../client/applicant.ts'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { linkDevice } from '../client/linked-device.ts'
import { openNet } from '../client/net.ts'
import { newNumber, type Registered, registerProven, verifiedSession } from '../client/register.ts'
import { registrationBody } from '../client/registration-body.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

let server: Constellation
let https: Https
before(async () => {
  const generous = { registration: { bucket: 1000 }, verificationSession: { bucket: 1000 } }
  server = await Constellation.open({ config: { limits: generous } })
  https = Https.open(server.ready, 2)
})
after(async () => {
  await https[Symbol.asyncDispose]()
  await server.close()
})

const whoami = async (device: Registered) =>
  (await https.call('GET', '/v1/accounts/whoami', { headers: authorizationOf(device) })).status
const isInvalidated = (cause: LS.LibSignalError | null) =>
  cause !== null && LS.LibSignalErrorBase.is(cause, LS.ErrorCode.ConnectionInvalidated)
const register = (number: string, body: object) =>
  https.call('POST', '/v1/registration', {
    headers: { authorization: basic(number, 'the password') },
    json: body,
  })

test('R5: who gets a number gets none of what the one before had', async () => {
  await using before = await SignalClient.create(server, { httpVersion: 2 })
  await using boris = await SignalClient.create(server, { httpVersion: 2 })
  const { account: old } = before
  const linked = await linkDevice(server, old)
  await using second = new SignalClient(server, linked, 2)
  await second.connect()
  before.answer = () => undefined
  await boris.sendText(old, 'for the one before')
  await before.messages.size(1)

  const service = await verifiedSession(server, old.number, 2)
  const owner = await registerProven(service, old.number)
  assert.ok(isInvalidated(await before.link.interrupted()))
  assert.ok(isInvalidated(await second.link.interrupted()))
  for (const device of [old, linked]) {
    assert.equal(await whoami(device), 401)
    const { aci, deviceId, password } = device
    const username = `${aci.getServiceIdString()}.${deviceId}`
    const connecting = openNet(server.ready, 2).connectAuthenticatedChat(username, password, false, listener)
    await assert.rejects(connecting, { code: LS.ErrorCode.DeviceDelinked })
  }
  await using now = new SignalClient(server, owner, 2)
  await (await now.connect()).queueEmpty()
  assert.deepEqual([now.messages.all, now.unreadable.all], [[], []])
  const { json } = await https.call('GET', '/v1/devices', { headers: authorizationOf(owner) })
  assert.deepEqual(
    json.devices.map(({ id }: { id: number }) => id),
    [1],
  )
  const keys = await https.call('GET', `/v2/keys/${owner.aci.getServiceIdString()}/1`, {
    headers: authorizationOf(boris.account),
  })
  assert.equal(
    keys.json.identityKey,
    Buffer.from(owner.keys.aci.pair.publicKey.serialize()).toString('base64'),
  )
})

const listener = {
  onIncomingMessage: () => {},
  onQueueEmpty: () => {},
  onConnectionInterrupted: () => {},
}

test('R3: a session is for one number and one registration, and nobody guesses its id', async () => {
  const number = newNumber()
  const { sessionId } = await verifiedSession(server, number, 2)
  assert.ok(Buffer.from(sessionId, 'base64url').length >= 16)
  const body = registrationBody(sessionId)
  assert.equal((await register(newNumber(), body)).status, 400)
  for (let index = 0; index < sessionId.length; index++) {
    const other = sessionId[index] === 'A' ? 'B' : 'A'
    const guessed = sessionId.slice(0, index) + other + sessionId.slice(index + 1)
    assert.equal((await register(number, registrationBody(guessed))).status, 401)
  }
  const both = await Promise.all([register(number, body), register(number, registrationBody(sessionId))])
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 401])
  assert.equal((await register(number, body)).status, 401)
})

test('R3: a code is tried five times, and then its session is worth nothing', async () => {
  const number = newNumber()
  const opened = await https.call('POST', '/v1/verification/session', { json: { number } })
  const path = `/v1/verification/session/${opened.json.id}/code`
  await https.call('POST', path, { json: { transport: 'sms', client: 'test' } })
  const code = await server.codeFor(number)
  const wrong = code === '000000' ? '000001' : '000000'
  for (let tried = 0; tried < 5; tried++) {
    const { status, json } = await https.call('PUT', path, { json: { code: wrong } })
    assert.deepEqual([status, json.verified], [200, false])
  }
  assert.equal((await https.call('PUT', path, { json: { code } })).status, 409)
  assert.equal((await register(number, registrationBody(opened.json.id))).status, 401)
})

test('M7: a client whose answer was lost makes no second account, and gets in by a new session', async () => {
  const number = newNumber()
  const { sessionId } = await verifiedSession(server, number, 2)
  const body = registrationBody(sessionId)
  const lost = await register(number, body)
  assert.equal(lost.status, 200)
  assert.equal((await register(number, body)).status, 401)
  const again = await (await verifiedSession(server, number, 2)).registerAccount(applicant())
  assert.equal(again.reregistration, true)
  assert.equal(again.aci.getServiceIdString(), lost.json.uuid)
})

test('M7: an account that is deleted twice at once is deleted once', async () => {
  await using client = await SignalClient.create(server, { httpVersion: 2 })
  const headers = authorizationOf(client.account)
  const both = await Promise.all([0, 1].map(() => https.call('DELETE', '/v1/accounts/me', { headers })))
  assert.ok(both.every(({ status }) => status === 204 || status === 401))
  assert.ok(both.some(({ status }) => status === 204))
  assert.equal(await whoami(client.account), 401)
})
