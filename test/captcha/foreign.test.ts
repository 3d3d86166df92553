// hCaptcha and Turnstile by configuration, against stand-ins that obey their documents. They themselves are never asked.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { RemoteVerifier } from '../../server/captcha/remote-verifier.ts'
import { SCHEMES } from '../../server/captcha/solution.ts'
import { browserFor, visit } from '../browser.ts'
import { Https } from '../client/https.ts'
import { newNumber } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { stumblingBlocks } from './axe.ts'
import { StandIn } from './stand-in.ts'

for (const provider of ['hcaptcha', 'turnstile'] as const) {
  const open = async () => {
    const standIn = await StandIn.open(provider)
    const { config: captcha } = standIn
    const server = await Constellation.open({ config: { captcha, registration: { captcha: 'on' } } })
    return { standIn, server, https: Https.open(server.ready, 2, 'captcha') }
  }
  const text = (siteKey: string, token: string, action = 'registration') =>
    `${SCHEMES[provider]}.${siteKey}.${action}.${token}`

  test(`${provider}: a session takes what its page gives, once, and asks with no address`, async () => {
    const { standIn, server, https } = await open()
    await using _ = standIn
    await using __ = server
    await using ___ = https
    const created = await https.call('POST', '/v1/verification/session', { json: { number: newNumber() } })
    assert.deepEqual(created.json.requestedInformation, ['captcha'])
    const path = `/v1/verification/session/${created.json.id}`
    const patch = async (captcha: string) => (await https.call('PATCH', path, { json: { captcha } })).status
    const { siteKey } = standIn
    assert.equal(await patch(text(siteKey, 'junk')), 403)
    assert.equal(await patch(text('another', standIn.token())), 400)
    assert.equal(await patch(text(siteKey, standIn.token(), 'challenge')), 400)
    const token = standIn.token()
    assert.equal(await patch(text(siteKey.toUpperCase(), token)), 200)
    const fields = [...standIn.questions.at(-1)!.keys()]
    assert.deepEqual(fields, ['secret', 'response', 'sitekey'])
    const second = await https.call('POST', '/v1/verification/session', { json: { number: newNumber() } })
    const used = { json: { captcha: text(siteKey, token) } }
    assert.equal((await https.call('PATCH', `/v1/verification/session/${second.json.id}`, used)).status, 403)
    const own = await https.call('POST', '/captcha/puzzles', { json: { siteKey, action: 'registration' } })
    assert.equal(own.status, 403, 'our own gives no work in its place')
  })

  test(`${provider}: its widget stands on our page, under a policy for it, and leads back to the app`, async (t) => {
    const browser = await browserFor(t)
    if (!browser) return t.skip('Chromium is not installed')
    const { standIn, server, https } = await open()
    await using _ = standIn
    await using __ = server
    await using ___ = https
    const { page, asked, complaints } = await visit(browser)
    await page.goto(`${server.ready.urls.captcha}/captcha/registration`)
    await page.waitForSelector('#foreign')
    assert.deepEqual(await stumblingBlocks(page), [])
    await page.click('#foreign')
    await page.waitForSelector('#done:not([hidden])')
    const href = (await page.getAttribute('#open', 'href'))!
    assert.ok(href.startsWith(`signalcaptcha://${SCHEMES[provider]}.${standIn.siteKey}.registration.P1_`))
    const created = await https.call('POST', '/v1/verification/session', { json: { number: newNumber() } })
    const json = { captcha: href.replace('signalcaptcha://', '') }
    const patched = await https.call('PATCH', `/v1/verification/session/${created.json.id}`, { json })
    assert.deepEqual([patched.status, patched.json.allowedToRequestCode], [200, true])
    const places = [server.ready.urls.captcha, standIn.url, 'signalcaptcha:']
    assert.ok(asked.every((one) => places.some((place) => one.startsWith(place))))
    assert.deepEqual(complaints, [])
  })
}

test('Turnstile tells for which action a token is: one for another is wrong', async () => {
  await using standIn = await StandIn.open('turnstile')
  const { siteKey, secret, url } = standIn
  const verifier = new RemoteVerifier({ provider: 'turnstile', url: `${url}/siteverify`, siteKey, secret })
  const verify = (token: string) =>
    verifier.verify({ captcha: `turnstile.${siteKey}.registration.${token}`, action: 'registration' })
  assert.equal(await verify(standIn.token('challenge')), 'wrong')
  assert.equal(await verify(standIn.token('registration')), 'solved')
})

test('an answer that is about our question, or is none, is no verdict', async () => {
  await using standIn = await StandIn.open('hcaptcha')
  const { siteKey } = standIn
  const verify = (url: string, secret = 'not the secret') =>
    new RemoteVerifier({ provider: 'hcaptcha', url, siteKey, secret }).verify({
      captcha: `signal-hcaptcha.${siteKey}.registration.${standIn.token()}`,
      action: 'registration',
    })
  await assert.rejects(verify(`${standIn.url}/siteverify`), /does not take our question/)
  await assert.rejects(verify(`${standIn.url}/nothing`), /gives no answer/)
  await assert.rejects(verify('http://127.0.0.1:1/'))
  for (const body of ['', 'null', '{}', '{"success":"yes"}', '<html>']) {
    const broken = createServer((_, response) => void response.end(body))
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve))
    await assert.rejects(
      verify(`http://127.0.0.1:${(broken.address() as AddressInfo).port}`),
      /gives no answer/,
    )
    broken.closeAllConnections()
    await new Promise((resolve) => broken.close(resolve))
  }
})
