// Challenges (signal-api §2.12): what a sender to too many strangers meets, on every door, and how it goes on.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { AccountStore } from '../../server/chat/accounts/store.ts'
import { Challenge } from '../../wire/gen/challenge.js'
import type { Aci } from '../../wire/types.ts'
import { solveCaptcha } from '../captcha/solver.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { messageFor } from '../client/raw-message.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

for (const httpVersion of HTTP_VERSIONS)
  describe(`challenges over HTTP/${httpVersion}`, () => {
    let server: Constellation
    let https: Https
    let ada: SignalClient
    let strangers: Registered[]
    before(async () => {
      server = await Constellation.open({
        config: { challenges: { strangersPerDay: 1 }, captcha: { evaluations: 4 } },
      })
      const account = await register(server, { httpVersion })
      strangers = [await register(server, { httpVersion }), await register(server, { httpVersion })]
      const aci = account.aci.getServiceIdString() as Aci
      await server.restart(async (sql) => {
        const store = new AccountStore(sql)
        const stored = (await store.read(aci))!
        const devices = stored.devices.map((device) => ({ ...device, fcmToken: 'a token' }))
        await sql.write(store.replacement({ ...stored, version: stored.version + 1, devices }))
      })
      https = Https.open(server.ready, httpVersion)
      ada = new SignalClient(server, account, httpVersion)
      await ada.connect()
    })
    after(async () => {
      await ada.disconnect()
      await https[Symbol.asyncDispose]()
      await server.close()
    })

    const pushed = async (): Promise<string> => {
      const lines = (await readFile(server.ready.outbox, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      const { to, transport, challenge } = lines.filter((line) => line.transport === 'push').at(-1)
      assert.deepEqual([to, transport], [ada.aci.getServiceIdString(), 'push'])
      return challenge
    }
    const write = (to: Registered) => {
      const contents = ada.encryptFor(to, 'hello')
      const common = { timestamp: ada.nextTimestamp(), onlineOnly: false, urgent: true }
      return contents.then((copies) =>
        ada.link.auth.sendMessage({ ...common, destination: to.aci, contents: copies }),
      )
    }
    const answer = (json: object, of = ada.account) =>
      https.call('PUT', '/v1/challenge', { headers: authorizationOf(of), json })

    test("libsignal's send is told what to solve, and goes on when it did", async () => {
      const [first, second] = strangers as [Registered, Registered]
      await write(first)
      await assert.rejects(write(second), (error) => {
        assert.ok(LS.LibSignalErrorBase.is(error, LS.ErrorCode.RateLimitChallengeError))
        assert.deepEqual([...error.options].sort(), ['captcha', 'pushChallenge'])
        assert.ok(error.token.length > 0)
        return true
      })
      const path = `/v1/messages/${second.aci.getServiceIdString()}`
      const refused = await fetchJson(ada.link.auth, 'PUT', path, messageFor(second))
      assert.equal(refused.status, 428)
      assert.deepEqual(refused.json.options, ['captcha', 'pushChallenge'])
      assert.equal((await fetchJson(ada.link.auth, 'POST', '/v1/challenge/push')).status, 200)
      const wrong = await answer({ type: 'rateLimitPushChallenge', challenge: 'ab'.repeat(16) })
      assert.deepEqual([wrong.status, wrong.body.length], [200, 0])
      await assert.rejects(write(second), { code: LS.ErrorCode.RateLimitChallengeError })
      const right = await answer({ type: 'rateLimitPushChallenge', challenge: await pushed() })
      assert.equal(right.status, 200)
      await write(second)
    })

    test('a captcha lets its sender go on; one of another action is none, and a used one is wrong', async () => {
      const of = await register(server, { httpVersion })
      const captcha = await solveCaptcha(https, 'challenge')
      const json = { type: 'captcha', token: 'any', captcha }
      assert.equal((await answer({ ...json, captcha: 'solved' }, of)).status, 400)
      const other = await solveCaptcha(https, 'registration')
      assert.equal((await answer({ ...json, captcha: other }, of)).status, 400)
      const renamed = other.replace('.registration.', '.challenge.')
      assert.equal((await answer({ ...json, captcha: renamed }, of)).status, 428)
      assert.equal((await answer(json, of)).status, 200)
      assert.equal((await answer(json, of)).status, 428)
    })

    test('a broken answer is 422, and who has no push is told so', async () => {
      const captcha = { type: 'captcha', token: 'any', captcha: 'solved' }
      for (const json of [
        {},
        { type: 'captcha', token: 'any' },
        { ...captcha, captcha: '' },
        { type: 'guess' },
      ])
        assert.equal((await answer(json)).status, 422, JSON.stringify(json))
      const headers = authorizationOf(strangers[0]!)
      const noPush = await https.call('POST', '/v1/challenge/push', { headers })
      assert.equal(noPush.status, 404)
    })
    test('by gRPC the same challenge is answered, and success is said', async () => {
      await using grpc = GrpcClient.open(server.ready)
      const headers = authorizationOf(ada.account)
      const call = (request: object, of = headers) =>
        grpc.call(Challenge.rpcs.handleChallengeResponse, request as never, of)
      await fetchJson(ada.link.auth, 'POST', '/v1/challenge/push')
      const token = 'any'
      const wrong = await call({ token, push: { challenge: 'ab'.repeat(16) } })
      assert.deepEqual([wrong.code, wrong.reply?.success], [0, false])
      const right = await call({ token, push: { challenge: await pushed() } })
      assert.equal(right.reply?.success, true)
      assert.equal((await call({ token, captcha: { captcha: 'x' } })).code, 3)
      const used = await solveCaptcha(https, 'challenge')
      const other = authorizationOf(await register(server, { httpVersion }))
      assert.equal((await call({ token, captcha: { captcha: `${used}x` } }, other)).reply?.success, false)
      assert.equal((await call({ token, captcha: { captcha: used } }, other)).reply?.success, true)
      for (const broken of [{ push: { challenge: 'x' } }, { token }, { token, push: { challenge: '' } }])
        assert.equal((await call(broken)).reason, 'CONSTRAINT_VIOLATED')
    })
  })
