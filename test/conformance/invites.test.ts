// Who may register, as libsignal's registration service meets it (docs/protocol/invites.md).
import assert from 'node:assert/strict'
import { dirname } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { z } from 'zod'
import { askServer } from '../../server/kit/control.ts'
import { applicant } from '../client/applicant.ts'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS, type HttpVersion, openNet } from '../client/net.ts'
import { newNumber, register, registerProven, verifiedSession } from '../client/register.ts'
import { Constellation } from '../constellation.ts'

const made = z.object({ id: z.string(), link: z.string(), digits: z.string().nullable(), code: z.string() })

const dataOf = (server: Constellation): string => dirname(server.ready.outbox)
const invite = (server: Constellation, change: object = {}) =>
  askServer(dataOf(server), 'invite create', { uses: 1, days: 1, number: null, note: '', ...change }, made)
const registration = (server: Constellation, what: 'stop' | 'start') =>
  askServer(dataOf(server), `registration ${what}`, null, z.unknown())

/** A session of libsignal's that asked for a code. */
async function asked(server: Constellation, number: string, httpVersion: HttpVersion) {
  const service = await openNet(server.ready, httpVersion).createRegistrationSession({ e164: number })
  await service.requestVerification({ transport: 'sms', client: 'ios', languages: ['en'] })
  return service
}

/** What a browser posts. */
async function digitsByPage(server: Constellation, link: string, number: string): Promise<string> {
  await using https = Https.open(server.ready, 2)
  const body = new URLSearchParams({ number }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const page = await https.call('POST', new URL(link).pathname, { headers, body: Buffer.from(body) })
  assert.equal(page.status, 200)
  return /class="digits">(\d{6})</.exec(page.body.toString())![1]!
}

const failsWith = (code: LS.ErrorCode) => (error: unknown) => {
  assert.equal((error as LS.LibSignalError).code, code, String(error))
  return true
}

let server: Constellation
before(async () => {
  server = await Constellation.open({ config: { registration: { mode: 'invite' } } })
})
after(() => server.close())

for (const httpVersion of HTTP_VERSIONS)
  describe(`a server for who was invited, over HTTP/${httpVersion}`, () => {
    test('a stock client enters the digits of the page as its code', async () => {
      const number = newNumber()
      const { link } = await invite(server)
      const service = await asked(server, number, httpVersion)
      assert.equal(await service.verifySession('000000'), false)
      assert.ok(await service.verifySession(await digitsByPage(server, link, number)))
      const registered = await registerProven(service, number)
      assert.equal(registered.reregistration, false)
      // Once there, it needs no invite any more: codes are sent.
      const again = await verifiedSession(server, number, httpVersion)
      const { aci, reregistration } = await registerProven(again, number)
      assert.ok(reregistration)
      assert.equal(aci.getServiceIdString(), registered.aci.getServiceIdString())
    })

    test('a stock client enters the digits that the operator told', async () => {
      const number = newNumber()
      const { digits } = await invite(server, { number })
      const service = await asked(server, number, httpVersion)
      assert.ok(await service.verifySession(digits!))
      assert.ok((await registerProven(service, number)).aci)
    })

    test('who was not invited gets no code, and is told so when asking again', async () => {
      const service = await asked(server, newNumber(), httpVersion)
      assert.equal(await service.verifySession('123456'), false)
      await assert.rejects(
        service.requestVerification({ transport: 'voice', client: 'ios', languages: [] }),
        (error: LS.RegistrationVerificationCodeNotDeliverableError) => {
          assert.equal(error.code, LS.ErrorCode.RegistrationVerificationCodeNotDeliverable)
          assert.deepEqual([error.reason, error.permanentFailure], ['providerRejected', true])
          return true
        },
      )
      await assert.rejects(
        service.registerAccount(applicant()),
        failsWith(LS.ErrorCode.RegistrationInvalidSession),
      )
    })

    test('an invite taken back is none when it comes to registering', async () => {
      const number = newNumber()
      const { id, digits } = await invite(server, { number })
      const service = await asked(server, number, httpVersion)
      assert.ok(await service.verifySession(digits!))
      await askServer(dataOf(server), 'invite revoke', { id }, z.unknown())
      await assert.rejects(
        service.registerAccount(applicant()),
        failsWith(LS.ErrorCode.RegistrationInvalidSession),
      )
    })
  })

test('a closed server lets in who is there already', async () => {
  await using closed = await Constellation.open({ config: { registration: { mode: 'closed' } } })
  const service = await asked(closed, newNumber(), 2)
  assert.equal(await service.verifySession('123456'), false)
  const number = newNumber()
  const { digits } = await invite(closed, { number })
  const guest = await asked(closed, number, 2)
  assert.ok(await guest.verifySession(digits!))
  await assert.rejects(
    guest.registerAccount(applicant()),
    failsWith(LS.ErrorCode.RegistrationRecoveryVerificationFailed),
  )
})

test('an emergency stop is felt at once and outlives a restart, and who is there goes on', async () => {
  await using open = await Constellation.open()
  const { aci, number } = await register(open)
  const known = await verifiedSession(open, number, 2)
  const fresh = newNumber()
  const service = await verifiedSession(open, fresh, 2)
  const waiting = await openNet(open.ready, 2).createRegistrationSession({ e164: newNumber() })
  await registration(open, 'stop')
  const refused = (call: Promise<unknown>) =>
    assert.rejects(call, /server-side error, retryable with backoff/)
  await refused(openNet(open.ready, 2).createRegistrationSession({ e164: newNumber() }))
  await refused(waiting.requestVerification({ transport: 'sms', client: 'ios', languages: [] }))
  await refused(service.registerAccount(applicant()))
  const again = await registerProven(known, number)
  assert.equal(again.aci.getServiceIdString(), aci.getServiceIdString())
  await open.restart()
  await refused(openNet(open.ready, 2).createRegistrationSession({ e164: newNumber() }))
  await registration(open, 'start')
  assert.ok((await register(open)).aci)
})

test('the page tells where the server is and loads nothing, and no other code has one', async () => {
  const { link, code } = await invite(server)
  await using https = Https.open(server.ready, 2)
  const page = await https.call('GET', new URL(link).pathname)
  const html = page.body.toString()
  assert.equal(page.status, 200)
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/)
  assert.deepEqual(
    [page.headers['cache-control'], page.headers['referrer-policy'], page.headers['x-content-type-options']],
    ['no-store', 'no-referrer', 'nosniff'],
  )
  for (const told of [server.ready.urls.chat, code]) assert.ok(html.includes(told))
  assert.match(html, /([0-9A-F]{2}:){31}[0-9A-F]{2}/)
  assert.doesNotMatch(html, /<script|src=|href=|url\(/)
  const none = await https.call('GET', '/invite/0123456789abcdefghjkmnpqrstvwxyz')
  assert.deepEqual([none.status, none.headers['cache-control']], [404, 'no-store'])
  const hostile = '/invite/%3Cscript%3Ealert(1)%3C%2Fscript%3E'
  assert.doesNotMatch((await https.call('GET', hostile)).body.toString(), /<script/)
})
