import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/engines.ts'
import { ConfigError } from '../kit/config.ts'
import { configSchema } from '../kit/config-schema.ts'
import { captchaSettings } from './settings.ts'
import { allowedOrigin } from './sites.ts'

const SECRET = Buffer.alloc(32, 5)
const settingsOf = (values: object) =>
  captchaSettings({ ...configSchema.parse(values), secrets: '' } as never, SECRET)
const HCAPTCHA = { provider: 'hcaptcha', siteKey: 'a-key', secret: 'the secret' }

test('without a word about it our own captcha judges, in this process', () => {
  const { sites, foreign, remote } = settingsOf({})
  assert.deepEqual([foreign, remote], [undefined, undefined])
  assert.match(sites.own.key, /^[0-9a-f-]{36}$/)
  assert.equal(sites.bySecret(sites.own.secret), sites.own)
  assert.equal(sites.bySecret(''), undefined)
})

test('the own site is the same for who has the same secret, and another for others', () => {
  const [one, same] = [settingsOf({}).sites.own, settingsOf({}).sites.own]
  assert.deepEqual(one, same)
  const other = captchaSettings({ ...configSchema.parse({}), secrets: '' } as never, Buffer.alloc(32, 6))
  assert.notEqual(other.sites.own.key, one.key)
  assert.notEqual(other.sites.own.secret, one.secret)
})

test('another process with our captcha is asked as a site of its own', () => {
  const verifyUrl = 'https://captcha.example.org/siteverify'
  const { remote, sites } = settingsOf({ roles: ['chat'], captcha: { verifyUrl } })
  assert.deepEqual(remote, {
    provider: 'own',
    url: verifyUrl,
    siteKey: sites.own.key,
    secret: sites.own.secret,
  })
})

test('hCaptcha and Turnstile are found where they are, unless told otherwise; the secret may be in a file', async (t) => {
  const secretFile = join(await temporaryFolder(t), 'secret')
  writeFileSync(secretFile, 'from the file\n')
  const { foreign, remote } = settingsOf({ captcha: { ...HCAPTCHA, secret: undefined, secretFile } })
  assert.equal(foreign?.scriptUrl, 'https://js.hcaptcha.com/1/api.js')
  assert.deepEqual([remote?.url, remote?.secret], ['https://api.hcaptcha.com/siteverify', 'from the file'])
  const verifyUrl = 'http://127.0.0.1:1/'
  const turnstile = settingsOf({ captcha: { ...HCAPTCHA, provider: 'turnstile', verifyUrl } })
  assert.equal(turnstile.foreign?.scriptUrl, 'https://challenges.cloudflare.com/turnstile/v0/api.js')
  assert.equal(turnstile.remote?.url, verifyUrl)
})

const REFUSED: readonly (readonly [string, object, RegExp])[] = [
  [
    'hCaptcha without a secret',
    { captcha: { ...HCAPTCHA, secret: undefined } },
    /needs "captcha.siteKey" and/,
  ],
  [
    'hCaptcha without a site key',
    { captcha: { ...HCAPTCHA, siteKey: undefined } },
    /needs "captcha.siteKey"/,
  ],
  ['a site key with a dot', { captcha: { ...HCAPTCHA, siteKey: 'a.b' } }, /must not have a dot/],
  ['a secret twice', { captcha: { ...HCAPTCHA, secretFile: '/x' } }, /both given/],
  ['a secret for our own', { captcha: { secret: 'x' } }, /"captcha.secret" is for the providers/],
  ['our own elsewhere and here', { captcha: { verifyUrl: 'https://x.example' } }, /this one has it/],
  [
    'a captcha that nobody can judge',
    { roles: ['chat', 'storage'], registration: { captcha: 'on' } },
    /needs the role captcha in this process, or "captcha.verifyUrl"/,
  ],
]
for (const [what, values, sentence] of REFUSED)
  test(`the configuration is refused in one sentence: ${what}`, () => {
    assert.throws(
      () => settingsOf(values),
      (error: Error) =>
        error instanceof ConfigError && sentence.test(error.message) && !error.message.includes('the secret'),
    )
  })

test('a site needs one secret, some host names, and a key of its own', () => {
  const site = { key: 'website', secret: 'a secret of the website', hostnames: ['www.example.org'] }
  const parse = (sites: readonly object[]) => configSchema.safeParse({ captcha: { sites } }).success
  assert.equal(parse([site]), true)
  for (const wrong of [
    { ...site, secret: undefined },
    { ...site, secretFile: '/x' },
    { ...site, secret: 'short' },
    { ...site, key: 'a.b' },
    { ...site, hostnames: [] },
    { ...site, hostnames: ['https://x'] },
  ])
    assert.equal(parse([wrong]), false, JSON.stringify(wrong))
  assert.equal(parse([site, site]), false)
})

test('an origin is one that browsers write, of a host that the site named', () => {
  const site = { key: 'website', secret: 'x', hostnames: ['www.example.org'] }
  for (const origin of ['https://www.example.org', 'http://www.example.org:8080'])
    assert.equal(allowedOrigin(site, origin)?.origin, origin)
  for (const origin of [
    'https://example.org',
    'https://www.example.org/',
    'ftp://www.example.org',
    '',
    'null',
  ])
    assert.equal(allowedOrigin(site, origin), undefined, origin)
})
