// What libsignal's registration is told when a code would cost too much (docs/protocol/verification.md).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { ManualClock } from '../../server/kit/clock.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { closeWinding } from '../close-winding.ts'
import { Constellation } from '../constellation.ts'

const HOUR_MS = 3_600_000
const clock = new ManualClock(Date.now())
let server: Constellation
before(async () => {
  const codes = {
    perNumber: { hour: 2, day: 9 },
    // libsignal connects from this host, which has no such budget.
    perAddress: { hour: 1, day: 1 },
    perPrefix: { hour: 3, day: 90 },
    voice: { hour: 5, day: 9 },
    deniedCountries: ['CH'],
  }
  server = await Constellation.open({ clock, config: { registration: { budgets: 'on' }, codes } })
})
after(() => closeWinding(server, clock))

let given = 0
const newNumber = () => `+4915123${String(100_000 + given++)}`

for (const httpVersion of HTTP_VERSIONS)
  describe(`budgets of codes over HTTP/${httpVersion}`, () => {
    const open = (e164: string) => openNet(server.ready, httpVersion).createRegistrationSession({ e164 })
    const by = (transport: 'sms' | 'voice') => ({ transport, client: 'ios', languages: ['en'] })

    test('a prefix that is used up is 429 with Retry-After, and its codes work again when the hour is over', async () => {
      for (const number of [newNumber(), newNumber(), newNumber()])
        await (await open(number)).requestVerification(by('sms'))
      clock.advance(HOUR_MS - 90_000)
      const number = newNumber()
      const service = await open(number)
      await assert.rejects(service.requestVerification(by('sms')), {
        code: LS.ErrorCode.RateLimitedError,
        retryAfterSecs: 90,
      })
      assert.deepEqual(
        [service.sessionState.nextSmsSecs, service.sessionState.allowedToRequestCode],
        [90, true],
      )
      clock.advance(90_000)
      await service.requestVerification(by('sms'))
      assert.equal(await service.verifySession(await server.codeFor(number)), true)
      clock.advance(HOUR_MS)
    })

    test('a number of a country that gets no codes can’t be reached, for good', async () => {
      const service = await open(`+41791${String(100_000 + given++)}`)
      await assert.rejects(service.requestVerification(by('sms')), {
        code: LS.ErrorCode.RegistrationVerificationCodeNotDeliverable,
        reason: 'providerRejected',
        permanentFailure: true,
      })
    })

    test('a number that is used up is 429 in a session of its own, by SMS and voice', async () => {
      const number = newNumber()
      for (let times = 0; times < 2; times++) await (await open(number)).requestVerification(by('voice'))
      for (const transport of ['sms', 'voice'] as const)
        await assert.rejects((await open(number)).requestVerification(by(transport)), {
          code: LS.ErrorCode.RateLimitedError,
          retryAfterSecs: 3600,
        })
      clock.advance(HOUR_MS)
    })

    test('an SMS to a fixed line can’t be sent, and a call can be made', async () => {
      const number = `+4930123${String(10_000 + given++)}`
      const service = await open(number)
      await assert.rejects(service.requestVerification(by('sms')), {
        code: LS.ErrorCode.RegistrationVerificationSendFailed,
      })
      await service.requestVerification(by('voice'))
      assert.equal(await service.verifySession(await server.codeFor(number)), true)
      clock.advance(HOUR_MS)
    })
  })
