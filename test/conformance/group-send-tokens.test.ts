// Group send tokens (signal-api §0.6): members of a group reach each other without saying who they are.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { GroupSendFullToken } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { IdentityType } from '../../wire/gen/common.js'
import { KeysAnonymous } from '../../wire/gen/keys.js'
import type { ServiceId } from '../../wire/types.ts'
import { GrpcClient } from '../client/grpc.ts'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { messageFor } from '../client/raw-message.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { groupSendToken } from '../group-send-token.ts'

const DAY_MS = 86_400_000
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS
let server: Constellation
let tokenFor: (recipients: readonly LS.ServiceId[], expiresAtMs?: number) => Uint8Array<ArrayBuffer>
before(async () => {
  server = await Constellation.open()
  const params = (await server.secrets()).serverSecretParams
  tokenFor = (recipients, expiresAtMs = today + 2 * DAY_MS) =>
    new Uint8Array(
      groupSendToken({
        params,
        recipients: recipients.map((id) => id.getServiceIdString() as ServiceId),
        expiresAtMs,
      }),
    )
})
after(() => server.close())

const header = (token: Uint8Array) => ({ 'group-send-token': Buffer.from(token).toString('base64') })

for (const httpVersion of HTTP_VERSIONS)
  describe(`group send tokens over HTTP/${httpVersion}`, () => {
    let https: Https
    let target: Registered
    let other: Registered
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      target = await register(server, { httpVersion })
      other = await register(server, { httpVersion })
    })
    after(() => https[Symbol.asyncDispose]())

    const take = async (id: LS.ServiceId, token: Uint8Array) =>
      (await https.call('GET', `/v2/keys/${id.getServiceIdString()}/*`, { headers: header(token) })).status
    const send = async (id: LS.ServiceId, token: Uint8Array) => {
      const path = `/v1/messages/${id.getServiceIdString()}`
      return (await https.call('PUT', path, { headers: header(token), json: messageFor(target) })).status
    }

    test('a token opens the recipient that it was made for, by either identity', async () => {
      assert.equal(await take(target.aci, tokenFor([target.aci])), 200)
      assert.equal(await take(target.pni, tokenFor([target.pni])), 200)
      assert.equal(await send(target.aci, tokenFor([target.aci])), 200)
    })

    test('a token for others, for more than the one, or for none of them is 401', async () => {
      for (const recipients of [[other.aci], [target.aci, other.aci], [target.pni]]) {
        assert.equal(await take(target.aci, tokenFor(recipients)), 401)
        assert.equal(await send(target.aci, tokenFor(recipients)), 401)
      }
    })

    test('an expired token is 401', async () => {
      assert.equal(await take(target.aci, tokenFor([target.aci], today)), 401)
    })

    test('only a token that holds learns that an account does not exist', async () => {
      const nobody = LS.Aci.fromUuid(randomUUID())
      assert.equal(await take(nobody, tokenFor([nobody])), 404)
      assert.equal(await send(nobody, tokenFor([nobody])), 404)
      assert.equal(await take(nobody, tokenFor([target.aci])), 401)
    })

    test("libsignal's typed calls reach a recipient by token", async () => {
      await using client = await SignalClient.create(server, { httpVersion })
      const { unauth } = client.link
      const auth = new GroupSendFullToken(tokenFor([target.aci]))
      const { preKeyBundles } = await unauth.getPreKeys({ target: target.aci, device: 'all', auth })
      assert.equal(preKeyBundles.length, 1)
      const { registrationId } = target.keys.aci
      const message = {
        timestamp: Date.now(),
        contents: [{ deviceId: 1, registrationId, contents: new Uint8Array(9) }],
        onlineOnly: false,
        urgent: true,
      }
      await unauth.sendMessage({ ...message, destination: target.aci, auth })
      const wrong = new GroupSendFullToken(tokenFor([other.aci]))
      await assert.rejects(unauth.sendMessage({ ...message, destination: target.aci, auth: wrong }), {
        code: LS.ErrorCode.RequestUnauthorized,
      })
      const nobody = LS.Aci.fromUuid(randomUUID())
      const unknown = new GroupSendFullToken(tokenFor([nobody]))
      await assert.rejects(unauth.sendMessage({ ...message, destination: nobody, auth: unknown }), {
        code: LS.ErrorCode.ServiceIdNotFound,
      })
    })
  })

test('a token opens the gRPC service of keys, too', async () => {
  const target = await register(server)
  await using grpc = GrpcClient.open(server.ready)
  const take = async (id: LS.ServiceId, groupSendToken: Uint8Array) => {
    const targetIdentifier = { identityType: IdentityType.IDENTITY_TYPE_ACI, uuid: id.getRawUuidBytes() }
    const request = { request: { targetIdentifier }, groupSendToken }
    return (await grpc.call(KeysAnonymous.rpcs.getPreKeys, request)).reply?.response
  }
  const nobody = LS.Aci.fromUuid(randomUUID())
  assert.equal(await take(target.aci, tokenFor([target.aci])), 'preKeys')
  assert.equal(await take(target.aci, tokenFor([nobody])), 'failedUnidentifiedAuthorization')
  assert.equal(await take(nobody, tokenFor([nobody])), 'targetNotFound')
})
