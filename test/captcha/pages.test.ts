// The pages in a real browser: by eye, by keyboard, by ear, with and without scripts.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { openBrowser, visit } from '../browser.ts'
import { Constellation } from '../constellation.ts'
import { stumblingBlocks } from './axe.ts'
import { answerTo } from './insight.ts'

const MAX_WIRE_BYTES = 60 * 1024
let browser: Browser | undefined
let server: Constellation
let url: string
before(async () => {
  browser = await openBrowser()
  server = await Constellation.open({
    config: { captcha: { evaluations: 8 }, limits: { captchaRiddle: { bucket: 1000 } } },
  })
  url = server.ready.urls.captcha
})
after(async () => {
  await browser?.close()
  await server.close()
})

const inBrowser = (name: string, run: (browser: Browser) => Promise<void>) =>
  test(name, async (t) => {
    if (browser) await run(browser)
    else t.skip('Chromium is not installed')
  })

const LINK = /^signalcaptcha:\/\/heliograph\.[0-9a-f-]{36}\.registration\.[\w-]{100,}$/
const done = (page: Page) => page.waitForSelector('#done:not([hidden])')

inBrowser('when the work is done the page goes to the address that apps take', async (chromium) => {
  const { page, context, complaints } = await visit(chromium)
  const devtools = await context.newCDPSession(page)
  const wentTo: string[] = []
  devtools.on('Page.frameRequestedNavigation', (event) => wentTo.push(event.url))
  await devtools.send('Page.enable')
  await page.goto(`${url}/captcha/registration`)
  await page.click('#start')
  await done(page)
  const link = await page.inputValue('#link')
  assert.match(link, LINK)
  assert.deepEqual(wentTo, [link])
  assert.deepEqual(complaints, [])
})

/** Where no app takes the address, Chromium asks in a window of its own, which takes the keys. */
async function withoutApps(page: Page): Promise<void> {
  await page.route('**/page.js', async (route) => {
    const body = await (await route.fetch()).text()
    await route.fulfill({
      body: body.replace('window.location.href = href', ''),
      contentType: 'text/javascript',
    })
  })
}

inBrowser('by keyboard alone: begin, be told, wait, be told, copy', async (chromium) => {
  const { page, context, complaints } = await visit(chromium)
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await withoutApps(page)
  await page.goto(`${url}/captcha/registration`)
  const focus = () => page.evaluate('document.activeElement.id')
  await page.keyboard.press('Tab')
  assert.equal(await focus(), 'start')
  const told = page.getByRole('status').filter({ hasText: 'Working' }).waitFor()
  await page.route('**/captcha/solutions', (route) => told.then(() => route.continue()))
  await page.keyboard.press('Enter')
  await done(page)
  assert.equal(await focus(), 'done-title', 'a screen reader is there')
  await page.keyboard.press('Tab')
  assert.equal(await focus(), 'open')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  assert.equal(await focus(), 'copy')
  await page.keyboard.press('Enter')
  await page.getByRole('status').filter({ hasText: 'Copied.' }).waitFor()
  assert.equal(
    await page.evaluate('navigator.clipboard.readText()'),
    await page.getAttribute('#open', 'href'),
  )
  assert.deepEqual(complaints, [])
})

inBrowser('all of it weighs under 60 KB, comes from here, and leaves no cookie', async (chromium) => {
  const { page, context, asked } = await visit(chromium)
  const sizes: Promise<number>[] = []
  page.on('requestfinished', (request) =>
    sizes.push(request.sizes().then((size) => size.responseBodySize + size.responseHeadersSize)),
  )
  await page.goto(`${url}/captcha/registration`)
  await page.click('#start')
  await done(page)
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  assert.ok(bytes > 10_000 && bytes < MAX_WIRE_BYTES, `${bytes} bytes`)
  assert.ok(asked.some((one) => one.endsWith('/argon2.js')))
  assert.deepEqual(
    asked.filter((one) => !one.startsWith(`${url}/`) && !one.startsWith('signalcaptcha:')),
    [],
  )
  assert.deepEqual(await context.cookies(), [])
  assert.equal(await page.evaluate('localStorage.length + sessionStorage.length'), 0)
})

inBrowser('no page has stumbling blocks that axe-core knows, light, dark or narrow', async (chromium) => {
  for (const look of [
    { colorScheme: 'light' as const },
    { colorScheme: 'dark' as const },
    { viewport: { width: 320, height: 600 } },
  ]) {
    const { page, complaints } = await visit(chromium, look)
    const judge = async () => assert.deepEqual(await stumblingBlocks(page), [], page.url())
    for (const path of ['', '?with=picture', '?with=sound']) {
      await page.goto(`${url}/captcha/challenge${path}`)
      await judge()
    }
    await page.fill('#answer', '000')
    await page.press('#answer', 'Enter')
    await page.waitForSelector('#wrong')
    await judge()
    await page.goto(`${url}/captcha/registration`)
    await page.click('#start')
    await done(page)
    await judge()
    const wide = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
    assert.ok(wide <= 0, 'nothing sticks out')
    assert.deepEqual(complaints, [])
  }
})

inBrowser(
  'without JavaScript a picture is read, a wrong answer shows another, and the way back is there',
  async (chromium) => {
    const { page, asked } = await visit(chromium, { javaScriptEnabled: false })
    await page.goto(`${url}/captcha/registration`)
    assert.equal(await page.isVisible('#start'), false)
    await page.click('text=Read a picture instead')
    const shown = page.locator('main img:not(.sun)')
    assert.match((await shown.getAttribute('alt'))!, /hear digits instead/)
    const challenge = await page.inputValue('[name=challenge]')
    await page.getByLabel('The six letters and digits').fill('??????')
    await page.click('text=Continue')
    await page.waitForSelector('#wrong')
    const next = await page.inputValue('[name=challenge]')
    assert.notEqual(next, challenge)
    await page.fill('#answer', (await answerTo(server, next)).toLowerCase())
    await page.click('text=Continue')
    await page.waitForSelector('#done')
    assert.match((await page.getAttribute('#open', 'href'))!, LINK)
    assert.equal(await page.inputValue('#link'), await page.getAttribute('#open', 'href'))
    assert.ok(!asked.some((one) => one.includes('argon2')))
  },
)

inBrowser('a sound is heard: it plays to its end, and what it says is right', async (chromium) => {
  const { page, complaints } = await visit(chromium)
  await page.goto(`${url}/captcha/registration?with=sound`)
  const seconds = await page.evaluate<number>(`new Promise((resolve, reject) => {
    const audio = document.querySelector('audio')
    audio.addEventListener('ended', () => resolve(audio.duration))
    audio.addEventListener('error', () => reject(new Error(audio.error.message)))
    audio.muted = true
    audio.playbackRate = 8
    audio.play()
  })`)
  assert.ok(seconds > 3 && seconds < 15, `${seconds} s`)
  const digits = await answerTo(server, await page.inputValue('[name=challenge]'))
  assert.match(digits, /^\d{6}$/)
  await page.getByLabel('The six digits').fill([...digits].join(' '))
  await page.keyboard.press('Enter')
  await done(page)
  assert.match(await page.inputValue('#link'), LINK)
  assert.deepEqual(complaints, [])
})

inBrowser('what goes wrong is said, and trying again works', async (chromium) => {
  const { page } = await visit(chromium)
  await page.goto(`${url}/captcha/registration`)
  const meets = async (status: number, headers: Record<string, string> = {}) => {
    await page.route('**/captcha/puzzles', (route) => route.fulfill({ status, headers }), { times: 1 })
    await page.click('#start')
    await page.waitForSelector('#start[aria-disabled=false]')
    return page.locator('#status.bad').textContent()
  }
  assert.match((await meets(429, { 'retry-after': '77' }))!, /in 77 seconds/)
  assert.match((await meets(503))!, /in a moment/)
  await page.route('**/solver.js', (route) => route.abort())
  await page.click('#start')
  await page.getByRole('status').filter({ hasText: 'could not do it' }).waitFor()
  await page.unroute('**/solver.js')
  await page.click('#start')
  await done(page)
  assert.match(await page.inputValue('#link'), LINK)
})
