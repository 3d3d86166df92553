import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/engines.ts'
import { makeAuthority, makeKey } from '../kit/certificate-maker.ts'
import { systemClock } from '../kit/clock.ts'
import { loadConfig } from '../kit/config.ts'
import { push } from '../kit/config-push.ts'
import { newVapidKeys } from '../kit/vapid-keys.ts'
import { openProviders } from './providers.ts'

const secrets = { vapid: newVapidKeys() }
const open = (given: object) => openProviders(push.parse(given), { clock: systemClock, secrets })

test('without keys only Web Push is served', async () => {
  const providers = await openProviders(loadConfig(undefined).push, { clock: systemClock, secrets })
  assert.deepEqual(
    providers.map(({ service }) => service),
    ['web'],
  )
})

test('a service account that is none is one sentence, without what is in it', async (t) => {
  const file = join(await temporaryFolder(t), 'account.json')
  const fcm = { serviceAccountFile: file }
  await assert.rejects(open({ fcm }), {
    name: 'ConfigError',
    message: `"push.fcm.serviceAccountFile": cannot read ${file}: no such file.`,
  })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const account = {
    ...{ type: 'service_account', project_id: 'p', private_key_id: '1', client_email: 'a@b' },
    ...{ private_key: 'x', token_uri: 'https://localhost/token' },
  }
  const wrongKey = { ...account, private_key: ec.export({ type: 'pkcs8', format: 'pem' }) }
  for (const text of ['', '{}', 'private', JSON.stringify(account), JSON.stringify(wrongKey)]) {
    writeFileSync(file, text)
    await assert.rejects(open({ fcm }), {
      name: 'ConfigError',
      message: `"push.fcm.serviceAccountFile": ${file} is not the key of a service account (JSON) as the Firebase console gives it.`,
    })
  }
})

test('a key of Apple that is none, or not of its certificate, is one sentence', async (t) => {
  const folder = await temporaryFolder(t)
  const [keyFile, certificateFile] = [join(folder, 'key.p8'), join(folder, 'app.pem')]
  const shared = { keyFile, topic: 'org.example.app' }
  const byKey = { ...shared, keyId: 'ABCDEFGHIJ', teamId: 'ABCDEFGHIJ' }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  for (const text of ['', 'private', rsa.export({ type: 'pkcs8', format: 'pem' })]) {
    writeFileSync(keyFile, text)
    await assert.rejects(open({ apns: byKey }), {
      name: 'ConfigError',
      message: `"push.apns.keyFile": ${keyFile} is not a key (.p8) of Apple's developer portal.`,
    })
  }
  writeFileSync(keyFile, makeKey())
  writeFileSync(certificateFile, makeAuthority(createPrivateKey(makeKey()), Date.now()))
  await assert.rejects(open({ apns: { ...shared, certificateFile } }), {
    name: 'ConfigError',
    message: `"push.apns.certificateFile": ${certificateFile} is no certificate (PEM) for the key in ${keyFile}.`,
  })
  for (const identity of [{}, { keyId: 'ABCDEFGHIJ' }, { ...byKey, certificateFile }])
    assert.equal(push.safeParse({ apns: { ...shared, ...identity } }).success, false)
})
