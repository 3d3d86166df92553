// The captcha's doors: what the pages ask, and `siteverify` as reCAPTCHA, hCaptcha and Turnstile document it.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ManualClock } from '../../server/kit/clock.ts'
import { siteKeyOn, solveCaptcha, solvePuzzle } from '../captcha/solver.ts'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { newNumber } from '../client/register.ts'
import { Constellation } from '../constellation.ts'

const SECRET = 'a secret of the website'
const ORIGIN = 'https://www.example.org'
const clock = new ManualClock(Date.now())
let server: Constellation
before(async () => {
  const website = { key: 'website', secret: SECRET, hostnames: ['www.example.org', 'localhost'] }
  const forum = { key: 'forum', secret: 'a secret of the forum', hostnames: ['forum.example.org'] }
  const captcha = { evaluations: 4, sites: [website, forum] }
  const limits = { captchaPuzzle: { bucket: 10_000 }, captchaRiddle: { bucket: 10_000 } }
  server = await Constellation.open({ clock, config: { captcha, limits, registration: { captcha: 'on' } } })
})
after(() => server.close())

for (const httpVersion of HTTP_VERSIONS)
  describe(`the captcha over HTTP/${httpVersion}`, () => {
    let https: Https
    before(() => {
      https = Https.open(server.ready, httpVersion, 'captcha')
    })
    after(() => https[Symbol.asyncDispose]())

    const form = (path: string, fields: Readonly<Record<string, string>>) =>
      https.call('POST', path, {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(fields).toString(),
      })
    const siteverify = async (fields: Readonly<Record<string, string>>) =>
      (await form('/siteverify', fields)).json
    /** As the widget on a page does it. */
    const widgetToken = async (action = 'login'): Promise<string> => {
      const wish = { siteKey: 'website', action, origin: ORIGIN }
      const { challenge, puzzle } = (await https.call('POST', '/captcha/puzzles', { json: wish })).json
      const key = await solvePuzzle(puzzle)
      const solved = await https.call('POST', '/captcha/solutions', { json: { challenge, key } })
      assert.deepEqual([solved.status, solved.json.href], [200, undefined])
      return solved.json.token
    }

    test("libsignal's RegistrationService is asked for a captcha, and the page's gets it its code", async () => {
      const number = newNumber()
      const session = await openNet(server.ready, httpVersion).createRegistrationSession({ e164: number })
      assert.deepEqual([...session.sessionState.requestedInformation], ['captcha'])
      assert.equal(session.sessionState.allowedToRequestCode, false)
      await assert.rejects(session.requestVerification({ transport: 'sms', client: 'test', languages: [] }))
      const other = await solveCaptcha(https, 'challenge')
      await assert.rejects(session.submitCaptcha(other.replace('.challenge.', '.registration.')))
      const captcha = await solveCaptcha(https, 'registration')
      await session.submitCaptcha(captcha)
      assert.equal(session.sessionState.allowedToRequestCode, true)
      await session.requestVerification({ transport: 'sms', client: 'test', languages: [] })
      assert.match(await server.codeFor(number), /^\d{6}$/)
      const again = await openNet(server.ready, httpVersion).createRegistrationSession({ e164: newNumber() })
      await assert.rejects(again.submitCaptcha(captcha))
    })

    test('a site asks about a token once, by a form or by JSON', async () => {
      const first = await siteverify({ secret: SECRET, response: await widgetToken(), remoteip: '192.0.2.1' })
      assert.deepEqual(
        { ...first, challenge_ts: '' },
        { success: true, challenge_ts: '', hostname: 'www.example.org', action: 'login', 'error-codes': [] },
      )
      assert.equal(first.challenge_ts, new Date(clock.nowMs()).toISOString())
      const response = await widgetToken()
      const question = { secret: SECRET, response, sitekey: 'website' }
      const asked = await https.call('POST', '/siteverify', { json: question })
      assert.deepEqual([asked.status, asked.json.success], [200, true])
      assert.equal(asked.headers['content-type'], 'application/json')
      const again = await https.call('POST', '/siteverify', { json: question })
      assert.deepEqual(again.json, { success: false, 'error-codes': ['timeout-or-duplicate'] })
    })

    test("Friendly Captcha's name for the token is taken too", async () => {
      const { success } = await siteverify({ secret: SECRET, solution: await widgetToken() })
      assert.equal(success, true)
    })

    test('what is wrong is said in the words of those services', async () => {
      const response = await widgetToken()
      const code = async (fields: Readonly<Record<string, string>>) => {
        const { success, 'error-codes': codes } = await siteverify(fields)
        assert.equal(success, false)
        return codes.join()
      }
      assert.equal(await code({ response }), 'missing-input-secret')
      assert.equal(await code({ secret: 'no secret of ours', response }), 'invalid-input-secret')
      assert.equal(await code({ secret: SECRET }), 'missing-input-response')
      assert.equal(await code({ secret: SECRET, response: 'junk' }), 'invalid-input-response')
      assert.equal(await code({ secret: SECRET, response, sitekey: 'forum' }), 'sitekey-secret-mismatch')
      assert.equal(await code({ secret: 'a secret of the forum', response }), 'invalid-input-response')
      const own = (await solveCaptcha(https, 'registration')).split('.')[3]!
      assert.equal(await code({ secret: SECRET, response: own }), 'invalid-input-response')
      assert.equal((await siteverify({ secret: SECRET, response })).success, true, 'it was not used up')
      const late = await widgetToken()
      clock.advance(300_000)
      assert.equal(await code({ secret: SECRET, response: late }), 'timeout-or-duplicate')
    })

    test('a widget stands where its site may, and the browser is told to hold it there', async () => {
      const at = (query: Readonly<Record<string, string>>) =>
        https.call('GET', `/captcha/widget?${new URLSearchParams(query)}`)
      const good = await at({ sitekey: 'website', origin: 'http://localhost:8080' })
      assert.equal(good.status, 200)
      assert.match(
        String(good.headers['content-security-policy']),
        /frame-ancestors http:\/\/localhost:8080$/,
      )
      for (const origin of [
        'https://evil.example',
        'https://www.example.org.evil.example',
        'https://www.example.org/',
        'https://www.example.org@evil.example',
        'https://www.example.org; script-src *',
        'javascript:alert(1)',
        'null',
        '',
      ]) {
        assert.equal((await at({ sitekey: 'website', origin })).status, 403, origin)
        const wish = { siteKey: 'website', action: 'login', origin }
        assert.equal((await https.call('POST', '/captcha/puzzles', { json: wish })).status, 403, origin)
      }
      assert.equal((await at({ sitekey: 'nobody', origin: ORIGIN })).status, 403)
      assert.equal((await at({ sitekey: await siteKeyOn(https, 'challenge'), origin: ORIGIN })).status, 403)
    })

    test("the pages' own site gives work for its two actions and on no other page", async () => {
      const siteKey = await siteKeyOn(https, 'registration')
      const ask = async (wish: object) =>
        (await https.call('POST', '/captcha/puzzles', { json: { siteKey, ...wish } })).status
      assert.equal(await ask({ action: 'registration' }), 200)
      assert.equal(await ask({ action: 'challenge' }), 200)
      assert.equal(await ask({ action: 'login' }), 403)
      assert.equal(await ask({ action: 'registration', origin: ORIGIN }), 403)
    })

    test('clients find the pages at the addresses that they know, under one strict policy', async () => {
      const pages = ['/captcha/registration', '/captcha/challenge']
      for (const path of [...pages, '/registration/generate.html', '/challenge/generate.html']) {
        const { status, headers, body } = await https.call('GET', path)
        assert.deepEqual([status, headers['content-type']], [200, 'text/html; charset=utf-8'])
        const policy = String(headers['content-security-policy'])
        assert.match(policy, /^default-src 'none'; script-src 'self'; /)
        assert.match(policy, /frame-ancestors 'none'$/)
        assert.ok(!policy.includes('unsafe'))
        assert.deepEqual([headers['set-cookie'], headers['cache-control']], [undefined, 'no-store'])
        const text = body.toString()
        assert.ok(!/<script(?![^>]* src=)|<style| style=| on\w+=/.test(text), 'nothing inline')
        assert.ok(!/(?:src|href)="(?:https?:)?\/\//.test(text), 'nothing from elsewhere')
      }
    })

    test('a riddle is a page without scripts: a picture or a sound, a form, and the way back', async () => {
      for (const [riddle, type] of [
        ['picture', 'image/png'],
        ['sound', 'audio/wav'],
      ] as const) {
        const page = (await https.call('GET', `/captcha/registration?with=${riddle}`)).body.toString()
        const challenge = /name="challenge" value="([^"]+)"/.exec(page)![1]!
        const file = /src="(\/captcha\/(?:pictures|sounds)\/[^"]+)"/.exec(page)![1]!
        const whole = await https.call('GET', file)
        assert.deepEqual([whole.status, whole.headers['content-type']], [200, type])
        const part = await https.call('GET', file, { headers: { range: 'bytes=4-7' } })
        assert.deepEqual(
          [part.status, part.headers['content-range']],
          [206, `bytes 4-7/${whole.body.length}`],
        )
        assert.deepEqual(part.body, whole.body.subarray(4, 8))
        const wrong = await form('/captcha/answer', { challenge, answer: '??????' })
        assert.equal(wrong.status, 200)
        assert.match(wrong.body.toString(), /role="alert">That was not it/)
        assert.ok(!wrong.body.toString().includes(challenge), 'another one')
      }
      assert.equal((await form('/captcha/answer', { challenge: 'junk', answer: 'x' })).status, 403)
    })
  })
