import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError, loadConfig, registrationModeOf } from './config.ts'
import { codeBreaker, codes } from './config-codes.ts'
import { exampleYaml, withReference } from './config-doc.ts'
import { ROLES } from './config-schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'config-'))
after(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'config.yaml')
const load = (yaml: string, flags = {}) => {
  writeFileSync(file, yaml)
  return loadConfig(file, flags)
}

const root = new URL('../../', import.meta.url)
const repositoryFile = (path: string) => readFileSync(new URL(path, root), 'utf8')

test('without a file and flags, everything runs on loopback out of ./data', () => {
  assert.deepEqual(loadConfig(undefined, {}), {
    listen: { host: '127.0.0.1', port: 8443, maxConnectionsPerAddress: 1000 },
    data: resolve('data'),
    secrets: resolve('data/secrets'),
    roles: [...ROLES],
    storage: { engine: 'sqlite' },
    bus: { engine: 'memory', urls: [] },
    registration: {
      minFreeDisk: 512 * 1024 ** 2,
      minFreeMemory: 64 * 1024 ** 2,
      captcha: 'off',
      senders: ['console'],
      serviceName: 'Heliograph',
      requiredCapabilities: [],
    },
    codes: codes.parse({}),
    codeBreaker: codeBreaker.parse({}),
    twilio: { verifyCustomCodes: false },
    webhook: { voice: false },
    smtp: { security: 'starttls' },
    captcha: {
      provider: 'own',
      evaluations: 48,
      calmPerRange: 30,
      calmInAll: 3000,
      riddles: ['picture', 'sound'],
      tokenSeconds: 300,
      sites: [],
    },
    files: { store: 'disk', urls: {}, attachmentDays: 45 },
    edge: {},
    attachments: { maxBytes: 107_335_792, cdn: 3 },
    backups: { level: 'paid', maxMessagesBytes: 2 ** 30, maxMediaBytes: 100 * 2 ** 30, graceDays: 120 },
    groups: { maxSize: 1001, maxTitleBytes: 1024, maxDescriptionBytes: 8192 },
    credentials: { senderCertificateDays: 7 },
    calling: { relays: [], ttl: 43_200 },
    discovery: { mode: 'single', maxNumbers: 500 },
    push: { web: { enabled: 'on', contact: 'https://localhost', allowed: [] } },
    challenges: { strangersPerDay: 0 },
    limits: {},
    clients: {
      minimumVersions: {},
      blockedVersions: {},
      unrecognizedUserAgents: 'allowed',
      idlePrimaryDays: 30,
    },
    remoteConfig: {},
    log: { level: 'info' },
  })
})

test('flags win over the file, the file over the defaults', () => {
  const yaml = 'listen:\n  host: 10.0.0.1\n  port: 1\ndata: /from/file\n'
  const config = load(yaml, { port: 2, data: '/from/flag' })
  assert.deepEqual(config.listen, { host: '10.0.0.1', port: 2, maxConnectionsPerAddress: 1000 })
  assert.equal(config.data, '/from/flag')
  assert.equal(config.secrets, '/from/flag/secrets')
  assert.equal(load(yaml, { host: '::1' }).listen.host, '::1')
  assert.equal(load('', { host: '::1' }).listen.host, '::1')
})

test('what is written is what is in force', () => {
  const config = load(`
secrets: /else/where
roles: [chat]
storage: { engine: postgres, url: 'postgres://u:p@h/d' }
bus: { engine: redis, urls: ['redis://a'] }
registration: { mode: invite, captcha: on, budgets: on }
limits:
  messages: { bucket: 5 }
  prekeys: { refill: 0.5 }
remoteConfig:
  global.attachments.maxBytes: 104857600
  desktop.flag: true
log: { level: debug }
listen:
`)
  assert.equal(config.secrets, '/else/where')
  assert.deepEqual(config.storage, { engine: 'postgres', url: 'postgres://u:p@h/d' })
  assert.equal(config.registration.captcha, 'on')
  assert.deepEqual(config.limits, { messages: { bucket: 5 }, prekeys: { refill: 0.5 } })
  assert.deepEqual(config.remoteConfig, {
    'global.attachments.maxBytes': '104857600',
    'desktop.flag': 'true',
  })
  assert.equal(config.listen.port, 8443)
})

const mistakes: [yaml: string, sentence: string][] = [
  ['listen:\n  host: x\n  prot: 3', 'line 3: "listen.prot" is no known key (did you mean "port"?).'],
  ['\n\nRoles: []', 'line 3: "Roles" is no known key (did you mean "roles"?).'],
  ['qqqq: 1', 'line 1: "qqqq" is no known key.'],
  ['limits:\n  mesages: {}', 'line 2: "limits.mesages" is no limiter (did you mean "messages"?).'],
  ['limits:\n  messages: { bucket: 0 }', 'line 2: "limits.messages.bucket" must be at least 1.'],
  ['limits:\n  messages:\n    refill: 0', 'line 3: "limits.messages.refill" must be more than 0.'],
  ['limits:\n  pin:\n    refil: 1', 'line 3: "limits.pin.refil" is no known key (did you mean "refill"?).'],
  ['listen: 3', 'line 1: "listen" must be a group of keys.'],
  ['listen:\n  port: abc', 'line 2: "listen.port" must be a number.'],
  ['listen:\n  port: 1.5', 'line 2: "listen.port" must be a whole number.'],
  ['listen:\n  port: 70000', 'line 2: "listen.port" must be at most 65535.'],
  ['data: ""', 'line 1: "data" must not be empty.'],
  ['storage:\n  engine: mysql', 'line 2: "storage.engine" must be one of sqlite, postgres.'],
  ['data: x\nstorage:\n  engine: postgres', 'line 2: "storage.url" is needed with engine postgres.'],
  ['bus:\n  engine: redis', 'line 1: "bus.urls" is needed with engine redis.'],
  ['registration:\n  captcha: true', 'line 2: "registration.captcha" must be one of on, off.'],
  ['roles: [chat, chta]', `line 1: "roles[1]" must be one of ${ROLES.join(', ')}.`],
  ['remoteConfig:\n  a.b: [1]', 'line 2: "remoteConfig.a.b" must be a text, a number, true or false.'],
  ['remoteConfig:\n  a.b: {}', 'line 2: "remoteConfig.a.b" must not be empty.'],
  [
    'remoteConfig:\n  a.b:\n    percentage: 101',
    'line 3: "remoteConfig.a.b.percentage" must be at most 100.',
  ],
  ['remoteConfig:\n  a.b:\n    percent: 5', 'line 3: "remoteConfig.a.b.percent" is no known key.'],
  [
    'clients:\n  minimumVersions: { ios: seven }',
    'line 2: "clients.minimumVersions.ios" must be a version such as 7.4.0.',
  ],
  ['clients:\n  minimumVersions: { web: 1 }', 'line 2: "clients.minimumVersions.web" is no known key.'],
  ['- a', 'line 1: must be a list of "key: value".'],
  ['data: a\ndata: b', 'line 2: Map keys must be unique.'],
  ['a: [', 'line 1: Flow sequence'],
  ['a: *b', 'line 1: '],
]

for (const [yaml, sentence] of mistakes) {
  test(`${JSON.stringify(yaml)} is refused in one sentence`, () => {
    assert.throws(
      () => load(yaml),
      (error: Error) => {
        assert.ok(error instanceof ConfigError)
        assert.ok(error.message.startsWith(`${file}, ${sentence}`), error.message)
        assert.ok(!error.message.includes('\n'))
        return true
      },
    )
  })
}

test('a wrong value is never repeated: it may be a secret', () => {
  assert.throws(
    () => load('storage:\n  url: [hunter2]'),
    (error: Error) => !error.message.includes('hunter2'),
  )
})

test('a file that cannot be read is one sentence', () => {
  assert.throws(() => loadConfig('/no/such.yaml', {}), {
    name: 'ConfigError',
    message: 'Cannot read the configuration file /no/such.yaml: no such file.',
  })
})

test('a wrong flag is one sentence', () => {
  assert.throws(() => loadConfig(undefined, { port: 99_999 }), {
    message: 'Command line: "listen.port" must be at most 65535.',
  })
})

test('the example file says exactly the defaults', () => {
  assert.deepEqual(load(exampleYaml()), loadConfig(undefined, {}))
})

test('every commented line of the example can be uncommented', () => {
  load(exampleYaml().replaceAll(/^ {2}# (\w+: \{.*)$/gm, '  $1'))
})

test('the generated documents are in step with the schema (npm run docs)', () => {
  assert.equal(repositoryFile('deploy/config.example.yaml'), exampleYaml())
  const page = repositoryFile('docs/operating.md')
  assert.equal(page, withReference(page))
})

test('a server that others can reach lets in who was invited, unless it is told otherwise', () => {
  for (const [host, mode] of [
    ['127.0.0.1', 'open'],
    ['127.8.0.1', 'open'],
    ['::1', 'open'],
    ['0:0:0:0:0:0:0:1', 'open'],
    ['::ffff:127.0.0.1', 'open'],
    ['localhost', 'open'],
    ['0.0.0.0', 'invite'],
    ['::', 'invite'],
    ['::2', 'invite'],
    ['10.0.0.1', 'invite'],
    ['1', 'invite'],
    ['127.0.0.1.example.org', 'invite'],
  ])
    assert.equal(registrationModeOf(load('', { host: host! })), mode, host)
  for (const mode of ['open', 'invite', 'closed'])
    assert.equal(registrationModeOf(load(`registration: { mode: ${mode} }`, { host: '::' })), mode)
})
