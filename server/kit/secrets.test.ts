import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { PublicKey, SenderCertificate } from '@signalapp/libsignal-client'
import {
  GenericServerPublicParams,
  ServerPublicParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { openSecrets, type Secrets } from './secrets.ts'

const root = mkdtempSync(join(tmpdir(), 'secrets-'))
after(() => rmSync(root, { recursive: true }))
let folders = 0
const newFolder = () => join(root, String(folders++), 'secrets')
const mode = (path: string) => statSync(path).mode & 0o777
const fileIn = (folder: string) => join(folder, 'secrets.json')
const plain = (secrets: Secrets) => [
  secrets.databaseKey.toString('hex'),
  Buffer.from(secrets.serverSecretParams.serialize()).toString('hex'),
  Buffer.from(secrets.senderCertificateKey.serialize()).toString('hex'),
  secrets.linkDeviceSecret.toString('hex'),
  secrets.externalServices.svr2.userIdKey.toString('hex'),
  JSON.stringify(secrets.publicKeys),
]

test('what is made at first start is loaded ever after', async () => {
  const folder = newFolder()
  const made = await openSecrets(folder)
  assert.deepEqual(plain(await openSecrets(folder)), plain(made))
  assert.deepEqual(readdirSync(folder), ['secrets.json'])
})

test('two installations share nothing', async () => {
  const [a, b] = [plain(await openSecrets(newFolder())), plain(await openSecrets(newFolder()))]
  for (const [i, value] of a.entries()) assert.notEqual(value, b[i])
})

test('a file of an older version keeps its keys and gets those that came later', async () => {
  const folder = newFolder()
  const before = plain(await openSecrets(folder))
  const {
    uploads: _,
    turnSecret: __,
    reportSecret: ___,
    groupTokenSecret: ____,
    verificationSecret: _____,
    ...old
  } = JSON.parse(readFileSync(fileIn(folder), 'utf8'))
  delete old.externalServices.svrb
  writeFileSync(fileIn(folder), JSON.stringify(old))
  const secrets = await openSecrets(folder)
  assert.deepEqual(plain(secrets), before)
  const again = await openSecrets(folder)
  assert.deepEqual(again.turnSecret, secrets.turnSecret)
  assert.deepEqual(again.reportSecret, secrets.reportSecret)
  assert.deepEqual(again.groupTokenSecret, secrets.groupTokenSecret)
  assert.deepEqual(again.verificationSecret, secrets.verificationSecret)
  assert.deepEqual(again.uploads.signing(0), secrets.uploads.signing(0))
  assert.deepEqual(again.externalServices.svrb, secrets.externalServices.svrb)
})

test('processes that start at once agree', async () => {
  const folder = newFolder()
  const all = await Promise.all(Array.from({ length: 8 }, () => openSecrets(folder)))
  for (const secrets of all) assert.deepEqual(plain(secrets), plain(all[0]!))
  assert.deepEqual(readdirSync(folder), ['secrets.json'])
})

test('symmetric keys are 32 bytes, and no two are the same', async () => {
  const secrets = await openSecrets(newFolder())
  const { databaseKey, linkDeviceSecret, externalServices, uploads, turnSecret } = secrets
  const { reportSecret, groupTokenSecret, verificationSecret } = secrets
  const services = Object.values(externalServices).flatMap(({ secret, userIdKey }) => [secret, userIdKey])
  const own = [databaseKey, linkDeviceSecret, turnSecret, reportSecret, groupTokenSecret, verificationSecret]
  const keys = [...own, uploads.signing(0).bearerKey, ...services].map((key) => Buffer.from(key))
  for (const key of keys) assert.equal(key.length, 32)
  assert.equal(new Set(keys.map((key) => key.toString('hex'))).size, 15)
})

test('a client that knows the public keys trusts what the secret ones sign', async () => {
  const secrets = await openSecrets(newFolder())
  const { unidentifiedSenderTrustRoots, ...params } = secrets.publicKeys
  const trustRoot = PublicKey.deserialize(Buffer.from(unidentifiedSenderTrustRoots[0]!, 'base64'))
  const certificate = SenderCertificate.new(
    '9d0652a3-dcc3-4d11-975f-74d61598733f',
    '+12025550123',
    1,
    trustRoot,
    2_000_000_000_000,
    secrets.serverCertificate,
    secrets.senderCertificateKey,
  )
  assert.ok(certificate.validate(trustRoot, 1_900_000_000_000))
  const message = Buffer.from('message')
  const serverPublicParams = new ServerPublicParams(Buffer.from(params.serverPublicParams, 'base64'))
  serverPublicParams.verifySignature(message, secrets.serverSecretParams.sign(message))
  new GenericServerPublicParams(Buffer.from(params.genericServerPublicParams, 'base64'))
  new GenericServerPublicParams(Buffer.from(params.backupServerPublicParams, 'base64'))
})

test('nobody but the owner can read folder and file, and the mode of the file is repaired', async () => {
  const folder = newFolder()
  await openSecrets(folder)
  for (const loosen of [() => {}, () => chmodSync(fileIn(folder), 0o644)]) {
    loosen()
    await openSecrets(folder)
    assert.equal(mode(folder), 0o700)
    assert.equal(mode(fileIn(folder)), 0o600)
  }
})

test('an empty folder that others can read is closed', async () => {
  const folder = newFolder()
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  await openSecrets(folder)
  assert.equal(mode(folder), 0o700)
})

test('a folder with something in it that others can read is refused and left as it is', async () => {
  const folder = newFolder()
  await openSecrets(folder)
  chmodSync(folder, 0o755)
  await assert.rejects(openSecrets(folder), {
    name: 'SecretsError',
    message: `The secrets folder ${folder} is open to other users: run chmod 700 on it.`,
  })
  assert.equal(mode(folder), 0o755)
})

test('a folder that cannot be made is one sentence', async () => {
  await assert.rejects(openSecrets('/dev/null/secrets'), {
    name: 'SecretsError',
    message: /^Cannot make the secrets folder \/dev\/null\/secrets \(E\w+\)\.$/,
  })
})

test('a damaged file is one sentence that quotes nothing of it, and it is left alone', async () => {
  const folder = newFolder()
  await openSecrets(folder)
  const good = readFileSync(fileIn(folder), 'utf8')
  const short = JSON.stringify({ ...JSON.parse(good), databaseKey: 'c2hvcnQ=' })
  const { linkDeviceSecret: _, ...rest } = JSON.parse(good)
  const future = good.replace('"version": 1', '"version": 2')
  for (const bad of ['', good.slice(0, 500), short, JSON.stringify(rest), future, '{"hunter2": 1}']) {
    writeFileSync(fileIn(folder), bad)
    await assert.rejects(openSecrets(folder), {
      name: 'SecretsError',
      message: `${folder}/secrets.json is damaged or of another version: put the right copy back.`,
    })
    assert.equal(readFileSync(fileIn(folder), 'utf8'), bad)
  }
})

test('the secrets never print', async () => {
  const secrets = await openSecrets(newFolder())
  const shown = [
    inspect(secrets, { depth: 9, showHidden: true }),
    inspect({ secrets }, { depth: 9, customInspect: false, showHidden: true, getters: false }),
    JSON.stringify({ secrets, ...secrets }),
    String(secrets),
  ].join()
  for (const value of plain(secrets).slice(0, -1)) {
    assert.ok(!shown.includes(value))
    assert.ok(!shown.includes(Buffer.from(value, 'hex').toString('base64').slice(0, 20)))
    assert.ok(!shown.includes(value.slice(0, 6).replaceAll(/(..)(?=.)/g, '$1 ')))
  }
})
