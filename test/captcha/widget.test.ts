// The widget on pages that were written for other captchas, in a real browser.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Frame, Page } from 'playwright-core'
import { openBrowser, visit } from '../browser.ts'
import { Https } from '../client/https.ts'
import { Constellation } from '../constellation.ts'
import { stumblingBlocks } from './axe.ts'
import { serve, startExample } from './example-site.ts'
import { answerTo } from './insight.ts'

const SECRET = 'a secret of the website'
let browser: Browser | undefined
let server: Constellation
let https: Https
before(async () => {
  browser = await openBrowser()
  const sites = [{ key: 'website', secret: SECRET, hostnames: ['localhost'] }]
  server = await Constellation.open({ config: { captcha: { evaluations: 8, tokenSeconds: 30, sites } } })
  https = Https.open(server.ready, 2, 'captcha')
})
after(async () => {
  await browser?.close()
  await https[Symbol.asyncDispose]()
  await server.close()
})

const inBrowser = (name: string, run: (browser: Browser) => Promise<void>) =>
  test(name, async (t) => {
    if (browser) await run(browser)
    else t.skip('Chromium is not installed')
  })

const siteverify = async (response: string) =>
  (await https.call('POST', '/siteverify', { json: { secret: SECRET, response } })).json

async function widgetIn(page: Page): Promise<Frame> {
  const element = await page.waitForSelector('iframe')
  const frame = (await element.contentFrame())!
  await frame.waitForSelector('main')
  return frame
}
/** A word from the frame takes a moment. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}
/** What the form would send. */
async function filled(within: Pick<Page, 'locator'>, name: string): Promise<string> {
  const field = within.locator(`[name=${name}]`)
  await until(async () => (await field.inputValue()) !== '')
  return field.inputValue()
}
const pageWith = (body: string, query = '') => `<!doctype html><html lang="en"><head><title>A site</title>
<script src="${server.ready.urls.captcha}/captcha/api.js${query}" async defer></script></head>
<body><main><h1>A site</h1>${body}</main></body></html>`

inBrowser(
  'the example: a form for reCAPTCHA is sent with a token that its server believes, once',
  async (chromium) => {
    await using site = await startExample(server, SECRET)
    const { page, context, complaints } = await visit(chromium)
    await page.goto(site.url)
    const widget = await widgetIn(page)
    await page.click('form button')
    assert.equal(await page.textContent('#outcome'), 'Nobody.', 'without the captcha')
    const again = await widgetIn(page)
    assert.notEqual(again, widget)
    await again.click('#start')
    await again.waitForSelector('#done:not([hidden])')
    const token = await filled(page, 'g-recaptcha-response')
    assert.ok(token.length > 100)
    await page.click('form button')
    assert.equal(await page.textContent('#outcome'), 'A person.')
    assert.deepEqual((await siteverify(token))['error-codes'], ['timeout-or-duplicate'])
    assert.deepEqual([await context.cookies(), complaints], [[], []])
  },
)

inBrowser('a page for hCaptcha: its field, its callbacks, reset, and getResponse', async (chromium) => {
  const body = `<form><div class="h-captcha" data-sitekey="website" data-callback="onDone" data-expired-callback="onLate" data-theme="dark"></div></form>
    <script>window.said = []; window.onDone = (t) => said.push('done ' + t); window.onLate = () => said.push('late')</script>`
  await using site = await serve(pageWith(body))
  const { page, complaints } = await visit(chromium)
  await page.clock.install()
  await page.goto(site.url)
  const first = await widgetIn(page)
  assert.equal(await first.getAttribute('html', 'data-theme'), 'dark')
  await first.click('#start')
  await first.waitForSelector('#done:not([hidden])')
  const token = await filled(page, 'h-captcha-response')
  assert.deepEqual(await page.evaluate('said'), [`done ${token}`])
  assert.equal(await page.evaluate('hcaptcha.getResponse()'), token)
  const { success, hostname, action } = await siteverify(token)
  assert.deepEqual([success, hostname, action], [true, 'localhost', 'submit'])
  await page.clock.fastForward(31_000)
  await until(async () => (await page.evaluate<string[]>('said')).includes('late'))
  assert.equal(await page.inputValue('[name=h-captcha-response]'), '')
  const next = await widgetIn(page)
  await next.waitForSelector('#start')
  await next.click('#start')
  await next.waitForSelector('#done:not([hidden])')
  await filled(page, 'h-captcha-response')
  await page.evaluate('hcaptcha.reset()')
  assert.equal(await page.evaluate('hcaptcha.getResponse()'), '')
  assert.deepEqual(complaints, [])
})

inBrowser('explicit rendering: onload, two widgets with their own tokens and actions', async (chromium) => {
  const body = `<form id="a"><div id="one"></div></form><form id="b"><div id="two"></div></form>
    <script>window.ready = () => {
      window.ids = ['one', 'two'].map((name) => grecaptcha.render(name, { sitekey: 'website', action: name, callback: (t) => { window[name + 'Token'] = t } }))
    }</script>`
  await using site = await serve(pageWith(body, '?onload=ready&render=explicit'))
  const { page, complaints } = await visit(chromium)
  await page.goto(site.url)
  await page.waitForSelector('#two iframe')
  assert.deepEqual(await page.evaluate('ids'), [0, 1])
  const frame = (await (await page.waitForSelector('#two iframe')).contentFrame())!
  await frame.click('#start')
  await frame.waitForSelector('#done:not([hidden])')
  const token = await filled(page.locator('#two'), 'g-recaptcha-response')
  assert.deepEqual(await page.evaluate('ids.map(grecaptcha.getResponse)'), ['', token])
  assert.deepEqual(await page.evaluate('[window.oneToken, twoToken]'), [undefined, token])
  assert.equal((await siteverify(token)).action, 'two')
  assert.deepEqual(complaints, [])
})

inBrowser('the widget has no stumbling blocks, and its riddles work inside it', async (chromium) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    await using site = await serve(
      pageWith('<form><div class="heliograph-captcha" data-sitekey="website"></div></form>'),
    )
    const { page, complaints } = await visit(chromium, { colorScheme })
    await page.goto(site.url)
    const frame = await widgetIn(page)
    assert.deepEqual(await stumblingBlocks(frame), [])
    await frame.click('text=Picture')
    await frame.waitForSelector('#answer')
    assert.deepEqual(await stumblingBlocks(frame), [])
    const needed = await frame.evaluate<number>(
      'document.querySelector("main").getBoundingClientRect().height',
    )
    await until(async () => (await page.locator('iframe').boundingBox())!.height >= needed)
    await frame.fill('#answer', await answerTo(server, await frame.inputValue('[name=challenge]')))
    await frame.press('#answer', 'Enter')
    await frame.waitForSelector('#done:not([hidden])')
    assert.deepEqual(await stumblingBlocks(frame), [])
    const token = await filled(page, 'heliograph-captcha-response')
    assert.equal((await siteverify(token)).success, true)
    assert.deepEqual(complaints, [])
  }
})

inBrowser('a page of a stranger can neither frame the widget nor speak for the site', async (chromium) => {
  await using site = await serve(
    pageWith('<form><div class="g-recaptcha" data-sitekey="website"></div></form>'),
  )
  const { page } = await visit(chromium)
  await page.goto(site.url.replace('localhost', '127.0.0.1'))
  const refused = await widgetIn(page)
  assert.match((await refused.textContent('main'))!, /may not stand on this page/)
  const pretended = new URLSearchParams({ sitekey: 'website', origin: 'http://localhost:1' })
  await page.setContent(`<iframe src="${server.ready.urls.captcha}/captcha/widget?${pretended}"></iframe>`)
  const frame = (await (await page.waitForSelector('iframe')).contentFrame())!
  await assert.rejects(frame.waitForSelector('#start', { timeout: 1500 }))
})
