// One message to many accounts (signal-api §2.11.1): by libsignal's own call, over HTTPS, on sockets and by gRPC.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { GroupSendFullToken } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { MessagesAnonymous } from '../../wire/gen/messages.js'
import { MAX_CONTENT_BYTES, MAX_MULTI_RECIPIENT_BYTES } from '../../wire/limits.ts'
import type { ServiceId } from '../../wire/types.ts'
import { GroupSender, readAsMember } from '../client/group-sender.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchSenderCertificate } from '../client/sender-certificate.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { groupSendToken } from '../group-send-token.ts'
import { type MessageRecipient, multiRecipientMessage } from '../multi-recipient-message.ts'

const DAY_MS = 86_400_000
const MRM = 'application/vnd.signal-messenger.mrm'
const idOf = (id: LS.ServiceId) => id.getServiceIdString() as ServiceId
const nobody = () => LS.Aci.fromUuid(randomUUID())

let server: Constellation
let tokenFor: (recipients: readonly LS.ServiceId[]) => Uint8Array<ArrayBuffer>
before(async () => {
  server = await Constellation.open()
  const params = (await server.secrets()).serverSecretParams
  const expiresAtMs = Math.floor(Date.now() / DAY_MS) * DAY_MS + 2 * DAY_MS
  tokenFor = (ids) => new Uint8Array(groupSendToken({ params, recipients: ids.map(idOf), expiresAtMs }))
})
after(() => server.close())

const recipient = (to: Registered, registrationId = to.keys.aci.registrationId): MessageRecipient => ({
  id: idOf(to.aci),
  devices: [[1, registrationId]],
})
const gst = (token: Uint8Array) => ({ 'group-send-token': Buffer.from(token).toString('base64') })
const uak = (...keys: readonly Uint8Array[]) => {
  const combined = Buffer.alloc(16)
  for (const key of keys) for (let at = 0; at < 16; at++) combined[at]! ^= key[at]!
  return { 'unidentified-access-key': combined.toString('base64') }
}

for (const httpVersion of HTTP_VERSIONS)
  describe(`one message to many over HTTP/${httpVersion}`, () => {
    let https: Https
    let ada: SignalClient
    let bob: SignalClient
    let cyd: SignalClient
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      ada = await SignalClient.create(server, { httpVersion })
      bob = await SignalClient.create(server, { httpVersion })
      cyd = await SignalClient.create(server, { httpVersion })
    })
    after(async () => {
      for (const client of [ada, bob, cyd]) await client.disconnect()
      await https[Symbol.asyncDispose]()
    })
    const bothIds = () => [bob.aci, cyd.aci]
    const both = () => [recipient(bob.account), recipient(cyd.account)]
    const put = (body: Uint8Array, headers: Readonly<Record<string, string>>, query = `ts=${Date.now()}`) =>
      https.call('PUT', `/v1/messages/multi_recipient?${query}`, {
        headers: { 'content-type': MRM, ...headers },
        body,
      })

    test("libsignal's own call reaches every member, who reads it", async () => {
      const group = new GroupSender(ada.account)
      for (const member of [bob, cyd]) await group.add(ada.link.unauth, member)
      const distribution = await group.distribution()
      const timestamp = ada.nextTimestamp()
      const common = { onlineOnly: false, urgent: false, timestamp }
      const auth = new GroupSendFullToken(tokenFor(bothIds()))
      const certificate = await fetchSenderCertificate(ada.link.auth)
      const payload = await group.seal('to the whole group', certificate)
      const sent = await ada.link.unauth.sendMultiRecipientMessage({ ...common, payload, auth })
      assert.deepEqual(sent.unregisteredIds, [])
      for (const member of [bob, cyd]) {
        const { envelope } = await member.unreadable.next()
        assert.deepEqual([envelope.type, envelope.clientTimestamp, envelope.urgent], [6, timestamp, false])
        assert.equal(envelope.sourceServiceIdText, '')
        const read = await readAsMember(member.account, distribution, envelope.content)
        assert.deepEqual(read, { text: 'to the whole group', from: idOf(ada.aci) })
      }
    })

    test("libsignal's call learns of who is gone, of wrong devices, and of a wrong token", async () => {
      const [gone, other] = [nobody(), await register(server, { httpVersion })]
      const { unauth } = ada.link
      const send = (recipients: MessageRecipient[], ids: readonly LS.ServiceId[]) =>
        unauth.sendMultiRecipientMessage({
          ...{ payload: multiRecipientMessage(recipients), timestamp: Date.now() },
          ...{ onlineOnly: false, urgent: true, auth: new GroupSendFullToken(tokenFor(ids)) },
        })
      const absent = { id: idOf(gone), devices: [[1, 5]] } as const
      const sent = await send([recipient(other), absent], [other.aci, gone])
      assert.deepEqual(sent.unregisteredIds.map(idOf), [idOf(gone)])
      await assert.rejects(send([recipient(other)], [bob.aci]), { code: LS.ErrorCode.RequestUnauthorized })
      const wrong = send(
        [
          { id: idOf(other.aci), devices: [[2, 5]] },
          {
            id: idOf(bob.aci),
            devices: [
              [1, bob.account.keys.aci.registrationId],
              [3, 9],
            ],
          },
        ],
        [other.aci, bob.aci],
      )
      await assert.rejects(wrong, (error) => {
        assert.ok(LS.LibSignalErrorBase.is(error, LS.ErrorCode.MismatchedDevices))
        const entries = new Map(error.entries.map((entry) => [idOf(entry.account), entry]))
        const first = entries.get(idOf(other.aci))
        assert.deepEqual([first?.missingDevices, first?.extraDevices], [[1], [2]])
        assert.deepEqual(entries.get(idOf(bob.aci))?.extraDevices, [3])
        assert.equal(entries.size, 2)
        return true
      })
      const stale = send([recipient(other, 1 + (other.keys.aci.registrationId % 9000))], [other.aci])
      await assert.rejects(stale, (error) => {
        assert.ok(LS.LibSignalErrorBase.is(error, LS.ErrorCode.MismatchedDevices))
        assert.deepEqual(error.entries[0]?.staleDevices, [1])
        return true
      })
    })

    test("libsignal's story to many asks for nothing, and tells nothing", async () => {
      const target = await register(server, { httpVersion })
      const payload = multiRecipientMessage([recipient(target), { id: idOf(nobody()), devices: [[1, 5]] }])
      const sent = await ada.link.unauth.sendMultiRecipientMessage({
        ...{ payload, timestamp: Date.now(), auth: 'story', onlineOnly: false, urgent: true },
      })
      assert.deepEqual(sent.unregisteredIds, [])
      await using viewer = new SignalClient(server, target, httpVersion)
      await viewer.connect({ receiveStories: true })
      assert.equal((await viewer.unreadable.next()).envelope.story, true)
    })

    test('M5: missing and extra devices are 409, told before stale ones, which are 410', async () => {
      const headers = gst(tokenFor(bothIds()))
      const registrationId = bob.account.keys.aci.registrationId
      const stale = 1 + (registrationId % 9000)
      const cydStale = recipient(cyd.account, 1 + (cyd.account.keys.aci.registrationId % 9000))
      const two = {
        id: idOf(bob.aci),
        devices: [
          [1, stale],
          [2, 7],
        ],
      } as const
      const mixed = await put(multiRecipientMessage([two, cydStale]), headers)
      const devices = { missingDevices: [], extraDevices: [2] }
      assert.deepEqual([mixed.status, mixed.json], [409, [{ uuid: idOf(bob.aci), devices }]])
      const only = await put(multiRecipientMessage([recipient(bob.account), cydStale]), headers)
      const expected = [{ uuid: idOf(cyd.aci), devices: { staleDevices: [1] } }]
      assert.deepEqual([only.status, only.json], [410, expected])
    })

    test('A5: no proof, a wrong one, two of them, and one too many', async () => {
      const body = multiRecipientMessage(both())
      const token = gst(tokenFor(bothIds()))
      const keys = uak(bob.accessKey, cyd.accessKey)
      const cases: [number, Readonly<Record<string, string>>][] = [
        [200, token],
        [200, keys],
        [401, {}],
        [401, gst(tokenFor([bob.aci]))],
        [401, { 'group-send-token': '!' }],
        [401, { 'group-send-token': 'AAAA' }],
        [401, uak(bob.accessKey)],
        [401, uak()],
        [401, { 'unidentified-access-key': '' }],
        [400, { ...token, ...keys }],
        [400, { ...token, ...authorizationOf(ada.account) }],
        [400, { ...keys, ...authorizationOf(ada.account) }],
        [400, authorizationOf(ada.account)],
      ]
      for (const [status, headers] of cases) {
        const reply = await put(body, headers)
        assert.equal(reply.status, status, JSON.stringify(headers))
        if (status === 200) assert.deepEqual(reply.json, { uuids404: [] })
        else assert.equal(reply.body.length, 0)
      }
      const toNobody = multiRecipientMessage([
        recipient(bob.account),
        { id: idOf(nobody()), devices: [[1, 5]] },
      ])
      assert.equal((await put(toNobody, keys)).status, 404)
      const own = await ada.link.auth.fetch({
        ...{ verb: 'PUT', path: '/v1/messages/multi_recipient', timeoutMillis: 15_000 },
        ...{ headers: [['content-type', MRM]], body },
      })
      assert.equal(own.status, 400)
    })

    test('A5: a story shows no token, and may show any key', async () => {
      const body = multiRecipientMessage(both())
      assert.equal((await put(body, {}, 'story=true')).status, 200)
      assert.equal((await put(body, uak(bob.accessKey), 'story=true')).status, 200)
      assert.equal((await put(body, gst(tokenFor(bothIds())), 'story=true')).status, 400)
      assert.equal((await put(body, authorizationOf(ada.account), 'story=true')).status, 400)
    })

    test('what is no such message, or at no time, is 400', async () => {
      const headers = gst(tokenFor([bob.aci]))
      const good = multiRecipientMessage([recipient(bob.account)])
      const twice = multiRecipientMessage([
        {
          id: idOf(bob.aci),
          devices: [
            [1, 5],
            [1, 5],
          ],
        },
      ])
      for (const body of [new Uint8Array(), good.subarray(1), multiRecipientMessage([]), twice])
        assert.equal((await put(body, headers)).status, 400)
      for (const ts of ['8640000000000001', '-1', 'soon'])
        assert.equal((await put(good, headers, `ts=${ts}`)).status, 400, ts)
      assert.equal((await put(good, headers, 'ts=8640000000000000')).status, 200)
      assert.equal((await put(good, headers, '')).status, 200)
      assert.equal((await put(good, headers, 'online=perhaps')).status, 422)
    })

    test('M6: a copy may have 96 KiB, and the whole as much as 5000 recipients need', async () => {
      const target = await register(server, { httpVersion })
      const headers = gst(tokenFor([target.aci]))
      const of = (bytes: number) => multiRecipientMessage([recipient(target)], bytes)
      assert.equal((await put(of(MAX_CONTENT_BYTES), headers)).status, 200)
      assert.equal((await put(of(MAX_CONTENT_BYTES + 1), headers)).status, 413)
      const path = '/v1/messages/multi_recipient'
      const onSocket = async (body: Uint8Array<ArrayBuffer>) => {
        const sent = Object.entries({ 'content-type': MRM, ...headers })
        const reply = await ada.link.unauth.fetch({
          ...{ verb: 'PUT', path, headers: sent, body, timeoutMillis: 15_000 },
        })
        return reply.status
      }
      const whole = (bytes: number) => new Uint8Array(bytes)
      assert.equal((await put(whole(MAX_MULTI_RECIPIENT_BYTES), headers)).status, 400)
      assert.equal(await onSocket(whole(MAX_MULTI_RECIPIENT_BYTES)), 400)
      assert.equal(await onSocket(whole(MAX_MULTI_RECIPIENT_BYTES + 1)), 413)
      assert.equal(await onSocket(of(MAX_CONTENT_BYTES + 1)), 413)
      await using fresh = Https.open(server.ready, httpVersion)
      const more = {
        headers: { 'content-type': MRM, ...headers },
        body: whole(MAX_MULTI_RECIPIENT_BYTES + 1),
      }
      assert.equal((await fresh.call('PUT', path, more)).status, 413)
    })

    test('an ephemeral message reaches who is connected, and nobody later', async () => {
      const away = await register(server, { httpVersion })
      const headers = gst(tokenFor([bob.aci, away.aci]))
      const body = multiRecipientMessage([recipient(bob.account), recipient(away)])
      const before = bob.unreadable.all.length
      assert.equal((await put(body, headers, 'online=true')).status, 200)
      await bob.unreadable.size(before + 1)
      await using late = new SignalClient(server, away, httpVersion)
      await late.connect()
      await late.link.queueEmpty()
      assert.deepEqual(late.unreadable.all, [])
    })
  })

test('by gRPC everything that is wrong with devices comes in one answer, and refusals are answers too', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const [one, two] = [await register(server), await register(server)]
  const { sendMultiRecipientMessage, sendMultiRecipientStory } = MessagesAnonymous.rpcs
  const send = (recipients: MessageRecipient[], groupSendToken: Uint8Array, headers = {}) => {
    const message = { timestamp: Date.now(), payload: multiRecipientMessage(recipients) }
    return grpc.call(sendMultiRecipientMessage, { urgent: true, message, groupSendToken }, headers)
  }
  const token = tokenFor([one.aci, two.aci])
  const wrong = await send(
    [
      {
        id: idOf(one.aci),
        devices: [
          [1, 1 + (one.keys.aci.registrationId % 9000)],
          [2, 7],
        ],
      },
      { id: idOf(two.aci), devices: [[3, 7]] },
    ],
    token,
  )
  const entries = wrong.reply?.mismatchedDevices?.mismatchedDevices.map((entry) => [
    Buffer.from(entry.serviceIdentifier!.uuid).toString('hex'),
    [...entry.missingDevices],
    [...entry.extraDevices],
    [...entry.staleDevices],
  ])
  const hex = (id: LS.ServiceId) => Buffer.from(id.getRawUuidBytes()).toString('hex')
  const expected = [
    [hex(one.aci), [], [2], [1]],
    [hex(two.aci), [1], [3], []],
  ]
  assert.deepEqual(entries?.toSorted(), expected.toSorted())
  const both = [recipient(one), recipient(two)]
  assert.equal((await send(both, token)).reply?.response, 'success')
  for (const bad of [tokenFor([one.aci]), new Uint8Array(), new Uint8Array([1, 2])])
    assert.equal((await send(both, bad)).reply?.response, 'failedUnidentifiedAuthorization')
  assert.equal((await send(both, token, authorizationOf(one))).reason, 'BAD_AUTHENTICATION')
  assert.equal((await send([], token)).reason, 'CONSTRAINT_VIOLATED')
  const gone = nobody()
  const partly = await send(
    [recipient(one), { id: idOf(gone), devices: [[1, 5]] }],
    tokenFor([one.aci, gone]),
  )
  const [unresolved] = partly.reply?.success?.unresolvedRecipients ?? []
  assert.equal(Buffer.from(unresolved!.uuid).toString('hex'), hex(gone))
  const payload = multiRecipientMessage([recipient(one), { id: idOf(gone), devices: [[1, 5]] }])
  const story = await grpc.call(sendMultiRecipientStory, { message: { timestamp: 1, payload } })
  assert.deepEqual([story.reply?.response, story.reply?.success?.unresolvedRecipients.length], ['success', 0])
  const large = { timestamp: 1, payload: multiRecipientMessage(both, MAX_CONTENT_BYTES + 1) }
  const refused = await grpc.call(sendMultiRecipientMessage, { message: large, groupSendToken: token })
  assert.deepEqual([refused.code, refused.reason], [3, 'CONSTRAINT_VIOLATED'])
})
