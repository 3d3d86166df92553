import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Captcha, openCaptcha } from '../../server/captcha/captcha.ts'
import { captchaEvents } from '../../server/captcha/events.ts'
import { captchaSettings } from '../../server/captcha/settings.ts'
import { type Chat, openChat } from '../../server/chat/chat.ts'
import { chatEvents } from '../../server/chat/events.ts'
import { MemoryBus } from '../../server/kit/bus.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { configSchema } from '../../server/kit/config-schema.ts'
import { Counters } from '../../server/kit/counters.ts'
import { silentLog } from '../../server/kit/log.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { openSql } from '../../server/kit/sql/open.ts'
import { pushEvents } from '../../server/push/events.ts'
import { openPush, type PushServer } from '../../server/push/push.ts'
import { storageEvents } from '../../server/storage/events.ts'
import { openStorage, type Storage } from '../../server/storage/storage.ts'
import { temporaryFolder } from '../engines.ts'
import { ENTRIES, type Entry, type Kind } from './ledger.ts'
import { LEDGER_FILE, ledgerDocument } from './ledger-document.ts'

const shapeOf = (endpoint: string) => endpoint.replace(/\{[^}]*\}/g, '{}')
const of = (kind: Kind) => ENTRIES.filter((entry) => entry.kind === kind)
/** What Signal has nothing like. */
const isOurs = (endpoint: string) =>
  / \/(v1\/heliograph|invite|captcha|siteverify|\w+\/generate\.html)/.test(endpoint)
const claimed = ({ status }: Entry) => status === 'done' || status === 'partly'
const claims = (kind: Kind) =>
  of(kind)
    .filter(claimed)
    .map(({ endpoint }) => shapeOf(endpoint))
    .sort()

/** Every role over one database. */
async function rolesOf(
  t: TestContext,
): Promise<{ chat: Chat; storage: Storage; captcha: Captcha; push: PushServer }> {
  const data = await temporaryFolder(t)
  const secrets = join(data, 'secrets')
  const fail = (error: unknown) => {
    throw error
  }
  const sql = await openSql({ engine: 'sqlite', file: join(data, 'chat.db'), key: randomBytes(32) }, fail)
  const made = await openSecrets(secrets)
  const events = storageEvents(new Counters())
  const config = { ...configSchema.parse({ data }), secrets }
  const common = { sql, clock: systemClock, random: systemRandom, secrets: made, config, onBug: fail }
  const storage = await openStorage({ ...common, events })
  const chat = await openChat({
    ...common,
    bus: new MemoryBus(),
    senders: [],
    ownUrl: () => 'https://localhost',
    publicUrl: () => 'https://localhost',
    fingerprint: '',
    events: chatEvents(new Counters(), silentLog),
  })
  const settings = captchaSettings(config, made.captchaSecret)
  const captcha = await openCaptcha({ ...common, settings, events: captchaEvents(new Counters()) })
  const push = await openPush({ ...common, events: pushEvents(new Counters(), silentLog) })
  t.after(async () => {
    await chat.close()
    await captcha.close()
    await push.close()
    await storage.close()
    await sql.close()
  })
  return { chat, storage, captcha, push }
}

test('every endpoint of the inventory is in the ledger once', () => {
  assert.equal(of('REST').filter(({ endpoint }) => !isOurs(endpoint)).length, 127)
  assert.equal(of('RPC').length, 109)
  assert.equal(
    new Set(ENTRIES.map(({ kind, endpoint }) => `${kind} ${shapeOf(endpoint)}`)).size,
    ENTRIES.length,
  )
})

test('the ledger claims the routes that the server has, and no others', async (t) => {
  const { chat, storage, captcha, push } = await rolesOf(t)
  const routes = [...chat.rest, ...storage.rest, ...captcha.rest, ...push.rest].map(
    ({ route }) => `${route.method} ${route.path.replace(/:\w+/g, '{}')}`,
  )
  assert.deepEqual(claims('REST'), routes.sort())
})

test('the ledger claims the gRPC methods that the server has, and no others', async (t) => {
  const { chat } = await rolesOf(t)
  assert.deepEqual(claims('RPC'), chat.grpc.map(({ rpc }) => rpc.path.slice(1)).sort())
})

test('the ledger claims the sockets that the server has, and no others', async (t) => {
  const { chat } = await rolesOf(t)
  for (const entry of of('websocket')) {
    const admission = await chat.admit({ path: entry.endpoint, headers: {}, remoteAddress: '' })
    assert.equal(admission !== undefined, claimed(entry), entry.endpoint)
  }
})

test('what is done needs no excuse, and everything else has one', () => {
  for (const { endpoint, status, note } of ENTRIES) assert.equal(note === '', status === 'done', endpoint)
})

test('the document is made from the ledger', () => {
  assert.equal(
    readFileSync(LEDGER_FILE, 'utf8'),
    ledgerDocument(),
    'run: node test/conformance/ledger-document.ts',
  )
})
