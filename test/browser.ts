// Debian's Chromium, driven by playwright-core, for tests of pages.
import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'

/** Nothing if it is not installed; with `CI=true` that is an error. */
export async function openBrowser(): Promise<Browser | undefined> {
  if (!existsSync(CHROMIUM)) {
    if (process.env['CI'] === 'true') throw new Error('CI allows no skip, but Chromium is not installed')
    return undefined
  }
  const { chromium } = await import('playwright-core')
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
}

export type Visit = {
  readonly context: BrowserContext
  readonly page: Page
  /** What the page said of itself that no page should: errors, and what its policy forbade. */
  readonly complaints: string[]
  /** Everything that it asked for, of whomever. */
  readonly asked: string[]
}

/** A new person at the browser, who trusts any certificate. */
export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  const asked: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('request', (request) => asked.push(request.url()))
  return { context, page, complaints, asked }
}

/** For the whole of a test. */
export async function browserFor(t: Pick<TestContext, 'after'>): Promise<Browser | undefined> {
  const browser = await openBrowser()
  if (browser) t.after(() => browser.close())
  return browser
}
