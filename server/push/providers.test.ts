import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/engines.ts'
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
