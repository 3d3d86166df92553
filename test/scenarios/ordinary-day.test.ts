// A day of ordinary life: Boris with a client of last year (signal-cli 0.13.19, HTTP/1.1, REST alone), Ada with one of
// today (libsignal 0.103, HTTP/2, gRPC). Each test is a part of the day and needs the parts before it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  AuthCredentialWithPniResponse,
  ClientZkAuthOperations,
  ClientZkProfileOperations,
  ExpiringProfileKeyCredentialResponse,
  ProfileKey,
  ServerPublicParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { base64 } from '../client/identity-keys.ts'
import { LastYear } from '../client/last-year.ts'
import { knock } from '../client/raw-socket.ts'
import { newNumber } from '../client/register.ts'
import { expectStatus, fetchJson, type Reply } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { nameOf } from '../username.ts'

const DAY = 86_400
/** How far the server's clock has been put on: nobody waits for an hour. */
let aheadMs = 0
const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
let server: Constellation
let ada: SignalClient
let boris: LastYear
const profileKeys = { ada: new ProfileKey(random(32)), boris: new ProfileKey(random(32)) }
before(async () => {
  server = await Constellation.open({ clock })
})
after(async () => {
  await ada?.disconnect()
  await boris?.[Symbol.asyncDispose]()
  await server.close()
})

function random(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(randomBytes(size))
}
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const url = (of: Uint8Array) => Buffer.from(of).toString('base64url')
const aciOf = (of: LastYear) => LS.Aci.parseFromServiceIdString(of.aci)
const params = () => new ServerPublicParams(bytes(server.ready.keys.serverPublicParams))
const ok = (reply: Reply): Reply => {
  expectStatus(200, reply)
  return reply
}

const profileOf = (key: ProfileKey, aci: LS.Aci) => ({
  version: key.getProfileKeyVersion(aci).toString(),
  name: base64(random(81)),
  about: base64(random(156)),
  aboutEmoji: base64(random(60)),
  paymentAddress: null,
  phoneNumberSharing: base64(random(29)),
  avatar: true,
  sameAvatar: true,
  commitment: base64(key.getCommitment(aci).serialize()),
  badgeIds: [],
})

test('in the morning both register, and publish keys and a profile', async () => {
  ada = await SignalClient.create(server, { httpVersion: 2 })
  boris = new LastYear(server)
  await boris.register()
  const version = profileKeys.boris.getProfileKeyVersion(aciOf(boris)).toString()
  ok(await boris.ask('GET', `/v1/profile/${boris.aci}/${version}`))
  const written = ok(await boris.ask('PUT', '/v1/profile', profileOf(profileKeys.boris, aciOf(boris))))
  assert.equal(written.body.length, 0)
  const own = ok(await boris.ask('GET', `/v1/profile/${boris.aci}/${version}`))
  assert.equal(own.json.uuid, boris.aci)
  assert.ok(own.json.name)
  ok(await fetchJson(ada.link.auth, 'PUT', '/v1/profile', profileOf(profileKeys.ada, ada.aci)))
})

test('every command of last year begins with the same questions', async () => {
  await boris.preamble()
  const who = ok(await boris.ask('GET', '/v1/accounts/whoami'))
  assert.deepEqual([who.json.uuid, who.json.pni, who.json.number], [boris.aci, boris.pni, boris.number])
  const directory = ok(await boris.ask('GET', '/v2/directory/auth'))
  assert.match(directory.json.password, /^\d+:[0-9a-f]{20}$/)
  ok(await boris.ask('GET', '/v2/config'))
})

test('Boris writes to Ada unsealed, is told that it arrived, and she answers', async () => {
  ok(await boris.ask('GET', `/v1/profile/${ada.aci.getServiceIdString()}`))
  const timestamp = await boris.send({ aci: ada.aci.getServiceIdString() }, 'Good morning')
  assert.equal((await ada.messages.next()).text, 'Good morning')
  assert.equal(await boris.receipts.next(), timestamp)
  const peer = { aci: aciOf(boris), pni: pniOf(boris), accessKey: boris.accessKey }
  await ada.sendText(peer, 'Morning, Boris')
  assert.deepEqual(await boris.told.next(), {
    text: 'Morning, Boris',
    from: ada.aci.getServiceIdString(),
    deviceId: 1,
    sealed: false,
  })
})

const pniOf = (of: LastYear) => LS.Pni.parseFromServiceIdString(`PNI:${of.pni}`)

test('now that they know each other’s keys, nobody is told who writes', async () => {
  const whom = { aci: ada.aci.getServiceIdString(), accessKey: ada.accessKey }
  await boris.send(whom, 'Between us')
  const { text, from, envelope } = await ada.messages.next()
  assert.deepEqual([text, from], ['Between us', boris.aci])
  assert.equal(envelope.sourceServiceId.length + envelope.sourceServiceIdText.length, 0)
  const peer = { aci: aciOf(boris), pni: pniOf(boris), accessKey: boris.accessKey }
  await ada.sendText(peer, 'And us alone', { sealed: true })
  assert.deepEqual((({ text, sealed }) => [text, sealed])(await boris.told.next()), ['And us alone', true])
})

test('for a group Boris fetches a week of credentials and one for each member', async () => {
  const today = Math.floor(Date.now() / 1000 / DAY) * DAY
  const range = `redemptionStartSeconds=${today}&redemptionEndSeconds=${today + 7 * DAY}`
  const week = ok(await boris.ask('GET', `/v1/certificate/auth/group?${range}`)).json
  assert.equal(week.credentials.length, 8)
  assert.equal(week.pni, boris.pni)
  const operations = new ClientZkAuthOperations(params())
  for (const { credential, redemptionTime } of week.credentials) {
    const response = new AuthCredentialWithPniResponse(bytes(credential))
    operations.receiveAuthCredentialWithPniAsServiceId(aciOf(boris), pniOf(boris), redemptionTime, response)
  }
  const profiles = new ClientZkProfileOperations(params())
  const context = profiles.createProfileKeyCredentialRequestContext(ada.aci, profileKeys.ada)
  const request = Buffer.from(context.getRequest().serialize()).toString('hex')
  const version = profileKeys.ada.getProfileKeyVersion(ada.aci).toString()
  const path = `/v1/profile/${ada.aci.getServiceIdString()}/${version}/${request}`
  const headers = { 'unidentified-access-key': base64(ada.accessKey) }
  const asked = await boris.askUnknown('GET', `${path}?credentialType=expiringProfileKey`, undefined, headers)
  const response = new ExpiringProfileKeyCredentialResponse(bytes(ok(asked).json.credential))
  assert.ok(profiles.receiveExpiringProfileKeyCredential(context, response).getExpirationTime())
})

test('Boris takes a username, and Ada finds him by it', async () => {
  const name = nameOf('boris_the_second')
  const hashes = { usernameHashes: [url(name.hash)] }
  const reserved = ok(await boris.ask('PUT', '/v1/accounts/username_hash/reserve', hashes))
  assert.equal(reserved.json.usernameHash, url(name.hash))
  const { encryptedUsername, entropy } = LS.usernames.createUsernameLink(name.username)
  const confirmed = await boris.ask('PUT', '/v1/accounts/username_hash/confirm', {
    usernameHash: url(name.hash),
    zkProof: url(name.proof),
    encryptedUsername: url(encryptedUsername),
  })
  assert.equal(ok(confirmed).json.usernameHash, url(name.hash))
  const found = await ada.link.unauth.lookUpUsernameHash({ hash: name.hash })
  assert.equal(found?.getServiceIdString(), boris.aci)
  const uuid = confirmed.json.usernameLinkHandle as string
  const linked = await ada.link.unauth.lookUpUsernameLink({ uuid, entropy })
  assert.equal(linked?.username, name.username)
})

test('both are given a place to put a photograph, and a relay for a call', async () => {
  const form = ok(await boris.ask('GET', '/v4/attachments/form/upload')).json
  assert.deepEqual(
    ['cdn', 'key', 'headers', 'signedUploadLocation'].filter((field) => form[field] === undefined),
    [],
  )
  const typed = await ada.link.auth.getUploadForm({ uploadSize: 10_000n })
  assert.ok(typed.signedUploadUrl.href.startsWith('https://'))
  ok(await boris.ask('GET', '/v2/calling/relays'))
  ok(await boris.ask('GET', '/v1/storage/auth'))
})

test('Boris links his laptop, hears from it, and takes it off again', async () => {
  const token = ok(await boris.ask('GET', '/v1/devices/provisioning/code')).json.verificationCode as string
  await using laptop = new LastYear(server, boris)
  await laptop.link(token)
  assert.equal(laptop.deviceId, 2)
  assert.deepEqual((({ text, from, deviceId }) => [text, from, deviceId])(await boris.told.next()), [
    'Tell me what you know',
    boris.aci,
    2,
  ])
  await boris.send({ aci: boris.aci }, 'Everything')
  assert.equal((await laptop.told.next()).text, 'Everything')
  const { devices } = ok(await boris.ask('GET', '/v1/devices')).json
  assert.deepEqual(
    devices.map(({ id }: { id: number }) => id),
    [1, 2],
  )
  // Ada's client learns of the laptop by the 409 that it gets.
  const peer = { aci: aciOf(boris), pni: pniOf(boris), accessKey: boris.accessKey }
  await ada.sendText(peer, 'To both of you')
  assert.deepEqual(
    [(await boris.told.next()).text, (await laptop.told.next()).text],
    ['To both of you', 'To both of you'],
  )
  const closed = laptop.closed()
  expectStatus(204, await boris.ask('DELETE', '/v1/devices/2'))
  assert.equal((await closed).code, 4401)
  const authorization = `Basic ${Buffer.from(`${boris.aci}.2:${laptop.password}`).toString('base64')}`
  assert.equal((await knock(server.ready, 1, { headers: { authorization } })).status, 403)
  await ada.sendText(peer, 'To you alone again')
  assert.equal((await boris.told.next()).text, 'To you alone again')
})

test('Boris changes his number, and is still Boris', async () => {
  const number = newNumber()
  const refused = await boris.changeNumber(number)
  assert.equal(refused.status, 429, 'an account is an hour old before it changes its number')
  assert.ok(Number(refused.headers['retry-after']) > 3000)
  aheadMs += 3_600_000
  const changed = ok(await boris.changeNumber(number)).json
  assert.deepEqual([changed.uuid, changed.number], [boris.aci, number])
  assert.notEqual(changed.pni, boris.pni)
  const peer = { aci: aciOf(boris), pni: pniOf(boris), accessKey: boris.accessKey }
  await ada.sendText(peer, 'Still you?')
  assert.equal((await boris.told.next()).text, 'Still you?')
})

test('in the evening Boris leaves for good: he is answered first, and then nobody knows him', async () => {
  const closed = boris.closed()
  expectStatus(204, await boris.ask('DELETE', '/v1/accounts/me'))
  assert.equal((await closed).code, 4401)
  const authorization = `Basic ${Buffer.from(`${boris.aci}:${boris.password}`).toString('base64')}`
  assert.equal((await knock(server.ready, 1, { headers: { authorization } })).status, 403)
  assert.equal(await ada.link.unauth.accountExists({ account: aciOf(boris) }), false)
})
