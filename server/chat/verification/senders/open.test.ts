// A sender that is not configured completely stops the start, in one sentence.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { codeRequest } from '../../../../test/code-request.ts'
import { ManualClock } from '../../../kit/clock.ts'
import { ConfigError, loadConfig } from '../../../kit/config.ts'
import { openSenders } from './open.ts'

const TWILIO = { accountSid: `AC${'0'.repeat(32)}`, authToken: 'token', from: '+12025550100' }
const VERIFY = { ...TWILIO, verifyServiceSid: `VA${'0'.repeat(32)}` }
const WEBHOOK = { url: 'https://gateway.example.org', secret: 'x'.repeat(16) }
const SMTP = { host: 'mail.example.org', from: 'a@example.org', to: 'b@example.org' }

async function openFolder(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'helio-senders-'))
  t.after(() => rm(folder, { recursive: true }))
  const surroundings = { outbox: join(folder, 'outbox.jsonl'), clock: new ManualClock() }
  /** From a file, as an operator writes it: JSON is YAML. */
  const open = async (senders: readonly string[], keys: object) => {
    const file = join(folder, 'config.yaml')
    await writeFile(file, JSON.stringify({ registration: { senders }, ...keys }))
    return openSenders(loadConfig(file), surroundings)
  }
  /** The sentence that refuses it. */
  const refusal = async (sender: string, keys: object) => {
    const error = await open([sender], keys).then(
      () => assert.fail('it was taken'),
      (refused) => refused,
    )
    assert.ok(error instanceof ConfigError, String(error))
    assert.match(error.message, /^[^\n]+\.$/)
    return error.message.replace(`${folder}/config.yaml, line 1: `, '').replaceAll(folder, '.')
  }
  const file = async (name: string, content: string) => {
    await writeFile(join(folder, name), content)
    return join(folder, name)
  }
  return { open, refusal, file, folder, surroundings }
}

test('senders are opened in the order of the configuration', async (t) => {
  const { open } = await openFolder(t)
  const names = ['smtp', 'console', 'twilio', 'webhook', 'twilio-verify']
  const senders = await open(names, { twilio: VERIFY, webhook: WEBHOOK, smtp: SMTP })
  assert.deepEqual(
    senders.map(({ name }) => name),
    names,
  )
})

const without = (keys: object, ...names: string[]) =>
  Object.fromEntries(Object.entries(keys).filter(([name]) => !names.includes(name)))

const REFUSED: readonly (readonly [string, object, RegExp])[] = [
  ['twilio', {}, /^Either "twilio.messagingServiceSid" or "twilio.from" is needed/],
  [
    'twilio',
    { twilio: { ...TWILIO, messagingServiceSid: `MG${'0'.repeat(32)}` } },
    /^Either "twilio.messaging/,
  ],
  ['twilio', { twilio: without(TWILIO, 'accountSid') }, /^"twilio.accountSid" is needed/],
  ['twilio', { twilio: without(TWILIO, 'authToken') }, /^"twilio.authToken" or an API key is needed/],
  ['twilio', { twilio: { ...TWILIO, apiKeySid: `SK${'0'.repeat(32)}` } }, /^"twilio.apiKeySecret" is needed/],
  ['twilio', { twilio: { ...TWILIO, accountSid: 'AC1' } }, /^"twilio.accountSid" must be AC and 32/],
  ['twilio', { twilio: { ...TWILIO, authTokenFile: '/x' } }, /"twilio.authTokenFile" are both given/],
  [
    'twilio',
    { twilio: { ...TWILIO, callbackUrl: 'http://chat.example.org' } },
    /^"twilio.callbackUrl" must be an address that/,
  ],
  [
    'twilio',
    { twilio: { ...TWILIO, callbackUrl: 'ftp://localhost' } },
    /^"twilio.callbackUrl" must be an address/,
  ],
  [
    'twilio',
    {
      twilio: {
        ...without(TWILIO, 'authToken'),
        apiKeySid: `SK${'0'.repeat(32)}`,
        apiKeySecret: 'x',
        callbackUrl: 'https://a.example',
      },
    },
    /^"twilio.authToken" is needed with "twilio.callbackUrl"/,
  ],
  ['twilio-verify', { twilio: TWILIO }, /^"twilio.verifyServiceSid" is needed/],
  ['webhook', { webhook: without(WEBHOOK, 'url') }, /^"webhook.url" is needed/],
  ['webhook', { webhook: without(WEBHOOK, 'secret') }, /^"webhook.secret" is needed/],
  ['webhook', { webhook: { ...WEBHOOK, secret: 'short' } }, /^"webhook.secret" must/],
  [
    'webhook',
    { webhook: { ...WEBHOOK, url: 'http://gateway.example.org' } },
    /^"webhook.url" must be an address that/,
  ],
  [
    'webhook',
    { webhook: { ...WEBHOOK, caFile: '/nowhere' } },
    /^"webhook.caFile": cannot read \/nowhere: no such file/,
  ],
  ['smtp', { smtp: without(SMTP, 'host') }, /^"smtp.host" is needed/],
  ['smtp', { smtp: without(SMTP, 'from') }, /^"smtp.from" is needed/],
  ['smtp', { smtp: without(SMTP, 'to') }, /^"smtp.to" is needed/],
  ['smtp', { smtp: { ...SMTP, user: 'a' } }, /^"smtp.user" and "smtp.password" are given together/],
  ['smtp', { smtp: { ...SMTP, to: 'a@b.example\nBcc: c' } }, /^"smtp.to" must be a mail address/],
  [
    'smtp',
    { smtp: { ...SMTP, security: 'none' } },
    /^"smtp.security" may be none for a mail server on this host only/,
  ],
  ['pigeon', {}, /^"registration.senders\[0\]" must be one of console, twilio/],
]

for (const [sender, keys, sentence] of REFUSED)
  test(`a start is refused with: ${sentence.source.replace(/[\\^]/g, '')}`, async (t) => {
    const { refusal } = await openFolder(t)
    const said = await refusal(sender, keys)
    assert.match(said, sentence)
    assert.ok(!said.includes('short') && !said.includes('token '), said)
  })

test('a sender that is named twice is refused: it would send twice', async (t) => {
  const { open } = await openFolder(t)
  await assert.rejects(open(['console', 'console'], {}), { message: /must name each sender once/ })
})

test('a secret may lie in a file of its own, without the end of its line', async (t) => {
  const { open, refusal, file } = await openFolder(t)
  const secretFile = await file('secret', `${'s'.repeat(20)}\n`)
  const [sender] = await open(['webhook'], { webhook: { url: WEBHOOK.url, secretFile } })
  assert.equal(sender?.name, 'webhook')
  const empty = await file('empty', '\n')
  const said = await refusal('webhook', { webhook: { url: WEBHOOK.url, secretFile: empty } })
  assert.equal(said, '"webhook.secretFile": ./empty is empty.')
  const short = await file('short', 'x\n')
  assert.match(await refusal('webhook', { webhook: { url: WEBHOOK.url, secretFile: short } }), /at least 16/)
})

test('the console writes for the operator alone', async (t) => {
  const { open, surroundings } = await openFolder(t)
  const [sender] = await open(['console'], {})
  assert.deepEqual(await sender!.send(codeRequest()), { kind: 'sent' })
  const [line] = (await readFile(surroundings.outbox, 'utf8')).split('\n')
  const { to, transport, code } = codeRequest()
  assert.deepEqual(JSON.parse(line!), { at: surroundings.clock.nowMs(), to, transport, code })
})

test('a start without Twilio and mail loads nothing of them', async () => {
  const program = `
    import { createRequire } from 'node:module'
    const { up } = await import('./server/up.ts')
    const { openSenders } = await import('./server/chat/verification/senders/open.ts')
    const { configSchema } = await import('./server/kit/config-schema.ts')
    await openSenders(configSchema.parse({}), { outbox: '', clock: undefined })
    const loaded = Object.keys(createRequire(import.meta.url)('node:module')._cache)
    console.log(typeof up, loaded.length > 0, loaded.filter((file) => /node_modules.(twilio|nodemailer|axios).*/.test(file)).length)
  `
  const cwd = fileURLToPath(new URL('../../../..', import.meta.url))
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], { cwd })
  assert.equal(stdout.trim(), 'function true 0')
})
