// The captcha in another process than the chat server, with a database of its own and the same secrets.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Https } from '../client/https.ts'
import { openNet } from '../client/net.ts'
import { newNumber } from '../client/register.ts'
import { ServerProcess } from '../server-process.ts'
import { solveCaptcha } from './solver.ts'

test('a chat server asks the process that has the captcha, and says 503 while it does not answer', async () => {
  await using apart = await ServerProcess.start({ yaml: 'roles: [captcha]\ncaptcha: { evaluations: 4 }\n' })
  const verifyUrl = `${apart.ready.urls.captcha}/siteverify`
  const secrets = join(apart.data, 'secrets')
  const yaml = `roles: [chat]\nsecrets: ${secrets}\nregistration: { captcha: on }\ncaptcha: { verifyUrl: "${verifyUrl}" }\n`
  await using chat = await ServerProcess.start({ yaml })
  await using https = Https.open(apart.ready, 2, 'captcha')
  await using doors = Https.open(chat.ready, 2)
  assert.equal((await doors.call('GET', '/captcha/registration')).status, 404)
  const session = await openNet(chat.ready, 2).createRegistrationSession({ e164: newNumber() })
  const captcha = await solveCaptcha(https, 'registration')
  await assert.rejects(session.submitCaptcha(`${captcha}x`))
  await session.submitCaptcha(captcha)
  assert.equal(session.sessionState.allowedToRequestCode, true)
  const created = await doors.call('POST', '/v1/verification/session', { json: { number: newNumber() } })
  const path = `/v1/verification/session/${created.json.id}`
  assert.equal((await doors.call('PATCH', path, { json: { captcha } })).status, 403, 'it was used')
  const other = await solveCaptcha(https, 'challenge')
  const renamed = other.replace('.challenge.', '.registration.')
  assert.equal((await doors.call('PATCH', path, { json: { captcha: renamed } })).status, 403)
  const last = await solveCaptcha(https, 'registration')
  await apart.kill()
  assert.equal((await doors.call('PATCH', path, { json: { captcha: last } })).status, 503)
  await apart.restart()
  assert.equal((await doors.call('PATCH', path, { json: { captcha: last } })).status, 200)
})
