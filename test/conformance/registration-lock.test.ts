// What stands between an account and whoever gets hold of its number (signal-api §2.2, §2.3, §2.7).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { SvrKey } from '@signalapp/libsignal-client/dist/AccountKeys.js'
import { passwordAt, stepAt } from '../../server/chat/totp/one-time-password.ts'
import { Accounts } from '../../wire/gen/account.js'
import { applicant } from '../client/applicant.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { type Registered, verifiedSession } from '../client/register.ts'
import { registrationBody } from '../client/registration-body.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

let server: Constellation
before(async () => {
  server = await Constellation.open({ config: { limits: { registration: { bucket: 100 } } } })
})
after(() => server.close())

const TOKEN = 'ab'.repeat(32)
const newSvrKey = () => new SvrKey(new Uint8Array(randomBytes(32)))
const byRecoveryPassword = (recoveryPassword: Uint8Array) => {
  const { sessionId: _, ...body } = registrationBody('')
  return { ...body, recoveryPassword: Buffer.from(recoveryPassword).toString('base64') }
}

for (const httpVersion of HTTP_VERSIONS)
  describe(`registration lock and recovery over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    const put = (account: Registered, path: string, json: object) =>
      https.call('PUT', `/v1/accounts/${path}`, { headers: authorizationOf(account), json })
    const setAttributes = async (account: Registered, changed: object) => {
      const json = { ...registrationBody('').accountAttributes, recoveryPassword: '', ...changed }
      assert.equal((await put(account, 'attributes', json)).status, 204)
    }
    const registerAgain = ({ number }: Registered, json: object) => {
      const headers = { authorization: basic(number, 'password') }
      return https.call('POST', '/v1/registration', { headers, json })
    }

    test('a lock set over REST is a 423 that libsignal understands, until the token comes', async () => {
      await using client = await SignalClient.create(server, { httpVersion })
      const { number, aci } = client.account
      assert.equal(
        (await put(client.account, 'registration_lock', { registrationLock: 'short' })).status,
        422,
      )
      assert.equal((await put(client.account, 'registration_lock', { registrationLock: TOKEN })).status, 204)
      const service = await verifiedSession(server, number, httpVersion)
      await assert.rejects(service.registerAccount(applicant()), (error) => {
        assert.ok(LS.LibSignalErrorBase.is(error, LS.ErrorCode.RegistrationLock))
        assert.match(error.svr2Username ?? '', /^[0-9a-f]{32}$/)
        assert.match(error.svr2Password ?? '', /^\d+:[0-9a-f]{20}$/)
        // The primary was last seen at the start of this day.
        return error.timeRemainingSeconds > 6 * 86_400 - 60 && error.timeRemainingSeconds <= 7 * 86_400
      })
      const cause = await client.link.interrupted()
      assert.ok(cause && LS.LibSignalErrorBase.is(cause, LS.ErrorCode.ConnectionInvalidated))
      const headers = authorizationOf(client.account)
      assert.equal((await https.call('GET', '/v1/accounts/whoami', { headers })).status, 401)
      const again = await service.registerAccount(applicant({ registrationLock: TOKEN }))
      assert.equal(again.aci.getServiceIdString(), aci.getServiceIdString())
    })

    test('a lock that is cleared holds nobody up', async () => {
      await using client = await SignalClient.create(server, { httpVersion })
      assert.equal((await put(client.account, 'registration_lock', { registrationLock: TOKEN })).status, 204)
      const headers = authorizationOf(client.account)
      assert.equal((await https.call('DELETE', '/v1/accounts/registration_lock', { headers })).status, 204)
      const service = await verifiedSession(server, client.account.number, httpVersion)
      assert.equal((await service.registerAccount(applicant())).reregistration, true)
    })

    test('attributes set a lock and a recovery password, and without a lock clear it', async () => {
      const password = randomBytes(32)
      const recoveryPassword = password.toString('base64')
      await using client = await SignalClient.create(server, { httpVersion })
      await setAttributes(client.account, { recoveryPassword, registrationLock: TOKEN })
      const locked = await registerAgain(client.account, byRecoveryPassword(password))
      assert.equal(locked.status, 423)
      assert.ok(locked.json.timeRemaining > 0)
      await using other = await SignalClient.create(server, { httpVersion })
      await setAttributes(other.account, { recoveryPassword, registrationLock: TOKEN })
      await setAttributes(other.account, {})
      const recovered = await registerAgain(other.account, byRecoveryPassword(password))
      assert.equal(recovered.status, 200)
      assert.equal(recovered.json.uuid, other.account.aci.getServiceIdString())
    })

    test('libsignal registers by the recovery password, until somebody proves the number by a code', async () => {
      await using client = await SignalClient.create(server, { httpVersion })
      const { number, aci } = client.account
      const recoveryPassword = new Uint8Array(randomBytes(32))
      await setAttributes(client.account, {
        recoveryPassword: Buffer.from(recoveryPassword).toString('base64'),
      })
      const again = () =>
        openNet(server.ready, httpVersion).reregisterAccount({
          ...applicant({ recoveryPassword }),
          e164: number,
        })
      assert.equal((await again()).aci.getServiceIdString(), aci.getServiceIdString())
      await verifiedSession(server, number, httpVersion)
      await assert.rejects(again(), { code: LS.ErrorCode.RegistrationRecoveryVerificationFailed })
    })

    test('an account that is deleted is gone, and its number finds its identity again', async () => {
      await using client = await SignalClient.create(server, { httpVersion })
      const { number, aci } = client.account
      const headers = authorizationOf(client.account)
      assert.equal((await https.call('DELETE', '/v1/accounts/me', { headers })).status, 204)
      const cause = await client.link.interrupted()
      assert.ok(cause && LS.LibSignalErrorBase.is(cause, LS.ErrorCode.ConnectionInvalidated))
      assert.equal((await https.call('GET', '/v1/accounts/whoami', { headers })).status, 401)
      const path = `/v1/accounts/account/${aci.getServiceIdString()}`
      assert.equal((await https.call('HEAD', path)).status, 404)
      const service = await verifiedSession(server, number, httpVersion)
      const again = await service.registerAccount(applicant())
      assert.equal(again.reregistration, false)
      assert.equal(again.aci.getServiceIdString(), aci.getServiceIdString())
    })
  })

describe('what libsignal calls by gRPC alone', () => {
  const METADATA = { name: 'my telephone', createdAt: 1_700_000_000_000 }
  const wrong = (password: number) => (password + 1) % 1_000_000
  const passwordOf = (key: Uint8Array, steps = 0) => Number(passwordAt(key, stepAt(Date.now()) + steps))

  test('libsignal sets a lock and takes it away', async () => {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    const { number } = client.account
    const svrKey = newSvrKey()
    await client.link.auth.setRegistrationLock({ svrKey })
    await client.link.auth.clearRegistrationLock()
    await client.link.auth.setRegistrationLock({ svrKey })
    const service = await verifiedSession(server, number, 2)
    await assert.rejects(service.registerAccount(applicant()), { code: LS.ErrorCode.RegistrationLock })
    const registrationLock = Buffer.from(svrKey.deriveRegistrationLock()).toString('hex')
    assert.equal((await service.registerAccount(applicant({ registrationLock }))).reregistration, true)
  })

  test('libsignal sets the recovery password that registers the number again', async () => {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    const svrKey = newSvrKey()
    await client.link.auth.setRegistrationRecoveryPassword({ svrKey })
    await using https = Https.open(server.ready, 2)
    const headers = { authorization: basic(client.account.number, 'password') }
    const json = byRecoveryPassword(svrKey.deriveRegistrationRecoveryPassword())
    assert.equal((await https.call('POST', '/v1/registration', { headers, json })).status, 200)
  })

  test('libsignal deletes the account', async () => {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    await client.link.auth.deleteAccount().catch(() => {}) // the answer may come after the goodbye
    await client.link.interrupted()
    await using https = Https.open(server.ready, 2)
    const headers = authorizationOf(client.account)
    assert.equal((await https.call('GET', '/v1/accounts/whoami', { headers })).status, 401)
  })

  test('libsignal makes, confirms, lists, renames and removes a key for one-time passwords', async () => {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    const { auth } = client.link
    const svrKey = newSvrKey()
    assert.deepEqual(await auth.startMfaVerification({}), { hasTotp: false })
    const { key, parameters } = await auth.generateTotpKey()
    assert.deepEqual(parameters, { algorithm: 'HmacSHA256', passwordLength: 6, timeStepSeconds: 30 })
    const confirm = (oneTimePassword: number) =>
      auth.confirmTotpKey({ oneTimePassword, metadata: METADATA, svrKey })
    await assert.rejects(confirm(wrong(passwordOf(key))), { code: LS.ErrorCode.MfaNotVerified })
    const id = await confirm(passwordOf(key))
    assert.deepEqual(await auth.listMfaKeys({ svrKey }), [{ id, metadata: METADATA, kind: 'totp' }])
    const renamed = { ...METADATA, name: 'the old one' }
    await auth.setMfaKeyMetadata({ keyId: id, metadata: renamed, svrKey })
    assert.deepEqual(await auth.listMfaKeys({ svrKey }), [{ id, metadata: renamed, kind: 'totp' }])
    await assert.rejects(auth.setMfaKeyMetadata({ keyId: id + 1, metadata: renamed, svrKey }), {
      code: LS.ErrorCode.MfaKeyNotFound,
    })
    assert.deepEqual(await auth.startMfaVerification({}), { hasTotp: true })
    const finish = (totpPassword: number) => auth.finishMfaVerification({ credential: { totpPassword } })
    await assert.rejects(finish(wrong(passwordOf(key))), { code: LS.ErrorCode.MfaNotVerified })
    await assert.rejects(
      finish(passwordOf(key)),
      { code: LS.ErrorCode.MfaNotVerified },
      'it confirmed the key',
    )
    await auth.removeMfaKey({ keyId: id })
    await auth.removeMfaKey({ keyId: id })
    assert.deepEqual(await auth.listMfaKeys({ svrKey }), [])
  })

  test('an account has two keys at most', async () => {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    const { auth } = client.link
    const svrKey = newSvrKey()
    for (let count = 0; count < 2; count++) {
      const { key } = await auth.generateTotpKey()
      await auth.confirmTotpKey({ oneTimePassword: passwordOf(key), metadata: METADATA, svrKey })
    }
    await assert.rejects(auth.generateTotpKey(), { code: LS.ErrorCode.TooManyTotpKeys })
  })

  test('an account with a key is registered again with a one-time password only (441)', async () => {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    const { auth } = client.link
    const { key } = await auth.generateTotpKey()
    const svrKey = newSvrKey()
    await auth.confirmTotpKey({ oneTimePassword: passwordOf(key), metadata: METADATA, svrKey })
    const { number } = client.account
    await using https = Https.open(server.ready, 2)
    const { sessionId } = await verifiedSession(server, number, 2)
    const post = (totp?: number) => {
      const headers = { authorization: basic(number, 'password') }
      return https.call('POST', '/v1/registration', {
        headers,
        json: { ...registrationBody(sessionId), totp },
      })
    }
    assert.equal((await post()).status, 441)
    assert.equal((await post(wrong(passwordOf(key, 1)))).status, 441)
    assert.equal((await post(passwordOf(key, -1))).status, 441)
  })

  test('the published calls for keys do the same, and refuse what breaks their contract', async () => {
    await using client = await SignalClient.create(server, { httpVersion: 2 })
    await using grpc = GrpcClient.open(server.ready)
    const headers = authorizationOf(client.account)
    const { rpcs } = Accounts
    const generated = await grpc.call(rpcs.generateTotpKey, {}, headers)
    assert.ok(generated.reply?.response === 'keyGenerated')
    const { key, totpParameters } = generated.reply.keyGenerated
    const metadataCiphertext = randomBytes(160)
    const oneTimePassword = passwordOf(key)
    const short = { oneTimePassword, metadataCiphertext: randomBytes(159) }
    assert.deepEqual((await grpc.call(rpcs.confirmTotpKey, short, headers)).fields, ['metadata_ciphertext'])
    const confirmed = await grpc.call(rpcs.confirmTotpKey, { oneTimePassword, metadataCiphertext }, headers)
    assert.ok(confirmed.reply?.response === 'keyConfirmed')
    const { keyId } = confirmed.reply.keyConfirmed
    const listed = await grpc.call(rpcs.listTotpKeys, {}, headers)
    assert.deepEqual(Object.keys(listed.reply!.keys), [String(keyId)])
    assert.deepEqual(listed.reply!.keys[keyId]?.totpParameters, totpParameters)
    assert.equal((await grpc.call(rpcs.removeTotpKey, { keyId }, headers)).code, 0)
    const renamed = await grpc.call(rpcs.setTotpKeyMetadata, { keyId, metadataCiphertext }, headers)
    assert.equal(renamed.reply?.response, 'keyNotFound')
    const json = { webauthnJson: '{}' }
    const passkey = { credential: 'webauthnJson', ...json } as const
    assert.deepEqual((await grpc.call(rpcs.finishMfaVerification, passkey, headers)).fields, ['credential'])
    const lock = { registrationLock: randomBytes(31) }
    assert.deepEqual((await grpc.call(rpcs.setRegistrationLock, lock, headers)).fields, ['registration_lock'])
  })
})
