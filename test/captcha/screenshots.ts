// `node test/captcha/screenshots.ts`: takes the pictures of the pages that docs/protocol/captcha.md shows.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { openBrowser, visit } from '../browser.ts'
import { Constellation } from '../constellation.ts'
import { serve } from './example-site.ts'

const FOLDER = join(import.meta.dirname, '..', '..', 'docs', 'protocol', 'captcha')
mkdirSync(FOLDER, { recursive: true })

type Shot = {
  readonly name: string
  readonly look: BrowserContextOptions
  readonly take: (page: Page) => Promise<void>
}

const sites = [{ key: 'website', secret: 'a secret of the website', hostnames: ['localhost'] }]
await using server = await Constellation.open({ config: { captcha: { sites } } })
const url = server.ready.urls.captcha
const [WIDE, NARROW] = [
  { width: 480, height: 520 },
  { width: 320, height: 560 },
]

const begin = (page: Page) => page.goto(`${url}/captcha/registration`)
async function working(page: Page): Promise<void> {
  await page.route('**/captcha/solutions', () => {})
  await begin(page)
  await page.click('#start')
  await page.waitForFunction(() => (document.querySelector('progress')?.value ?? 0) > 0.4)
}
async function done(page: Page): Promise<void> {
  await begin(page)
  await page.click('#start')
  await page.waitForSelector('#done:not([hidden])')
}
const riddle = (kind: string) => async (page: Page) => {
  await page.goto(`${url}/captcha/registration?with=${kind}`)
}

const SHOTS: readonly Shot[] = [
  { name: 'light', look: { viewport: WIDE }, take: async (page) => void (await begin(page)) },
  { name: 'light-done', look: { viewport: WIDE }, take: done },
  { name: 'dark', look: { viewport: WIDE, colorScheme: 'dark' }, take: working },
  {
    name: 'dark-picture',
    look: { viewport: { width: 480, height: 600 }, colorScheme: 'dark' },
    take: riddle('picture'),
  },
  { name: 'narrow', look: { viewport: NARROW }, take: riddle('sound') },
  {
    name: 'narrow-dark',
    look: { viewport: NARROW, colorScheme: 'dark' },
    take: async (page) => void (await begin(page)),
  },
]

declare const document: { querySelector(selector: string): { value: number } | null }

async function take(browser: Browser, { name, look, take: prepare }: Shot): Promise<void> {
  const { page, context } = await visit(browser, look)
  await prepare(page)
  await page.screenshot({ path: join(FOLDER, `${name}.png`) })
  await context.close()
}

const browser = await openBrowser()
if (!browser) throw new Error('Chromium is not installed')
for (const shot of SHOTS) await take(browser, shot)
const page = `<!doctype html><html lang="en"><title>A site</title><script src="${url}/captcha/api.js" async defer></script>
<body style="margin:1.5rem;font:1rem system-ui"><form><label>Name <input></label><p class="g-recaptcha" data-sitekey="website"></p><button type="button">Send</button></form>`
{
  await using site = await serve(page)
  await take(browser, {
    name: 'widget',
    look: { viewport: { width: 400, height: 260 } },
    take: async (visited) => {
      await visited.goto(site.url)
      await visited.frameLocator('iframe').locator('#start').waitFor()
      await visited.waitForTimeout(300)
    },
  })
}
await browser.close()
