import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { authorizationOf, Https } from '../client/https.ts'
import { register } from '../client/register.ts'
import { heliograph } from '../command.ts'
import { temporaryFolder } from '../engines.ts'
import { WebPushService } from '../push/web-push-service.ts'
import { ServerProcess } from '../server-process.ts'

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

test('heliograph push test wakes an account’s devices, and tells what the provider said and no address', async (t) => {
  const service = await WebPushService.open(t)
  const caFile = join(await temporaryFolder(t), 'ca.pem')
  await writeFile(caFile, service.ca)
  const yaml = JSON.stringify({ push: { web: { allowed: ['localhost'], caFile } } })
  await using server = await ServerProcess.start({ yaml })
  const where = ['--data', server.data]
  const account = await register(server, { httpVersion: 2 })
  const aci = account.aci.getServiceIdString()
  const tell = async () => JSON.parse((await heliograph('push', 'test', aci, '--json', ...where)).out)
  const health = async () => JSON.parse((await heliograph('status', '--json', ...where)).out).push
  assert.deepEqual(await tell(), [{ deviceId: 1, by: null, outcome: 'fetches' }])
  assert.deepEqual(await health(), { answers: true, providers: [{ provider: 'web', state: 'unknown' }] })

  await using https = Https.open(server.ready, 2)
  const headers = authorizationOf(account)
  const key = await https.call('GET', '/v1/heliograph/push/web', { headers })
  service.restrictTo(JSON.parse(key.body.toString()).applicationServerKey)
  const { endpoint, keys } = service.subscribe()
  const texts = { p256dh: base64url(keys!.p256dh), auth: base64url(keys!.auth) }
  const json = { endpoint, keys: texts }
  assert.equal((await https.call('PUT', '/v1/heliograph/push/web', { headers, json })).status, 204)
  const { out } = await heliograph('push', 'test', aci, ...where)
  assert.equal(out, 'device 1  Web Push  sent: the provider took it\n')
  assert.deepEqual(
    [service.received.map(({ text }) => text), service.faults],
    [['{"newMessageAlert":""}'], []],
  )
  assert.equal((await health()).providers[0].state, 'up')

  for (const [status, told] of [
    [403, { outcome: 'refused', reason: 'status 403' }],
    [410, { outcome: 'unregistered' }],
    [503, { outcome: 'later', afterSeconds: 0 }],
  ] as const) {
    service.answers.push({ status })
    const [device] = await tell()
    assert.deepEqual(device, { deviceId: 1, by: 'web', ...told })
    assert.ok(!JSON.stringify(device).includes(endpoint))
  }
  for (const [whom, sentence] of [
    ['+12025550100', /^heliograph: Nobody here has that number or ACI\.$/m],
    ['00000000-0000-4000-8000-000000000000', /^heliograph: Nobody here has/],
    ['+1', /^heliograph: That is no phone number\.$/m],
    ['somebody', /^heliograph: Say whom: /],
  ] as const) {
    const { code, err } = await heliograph('push', 'test', whom, ...where)
    assert.equal(code, 1, whom)
    assert.match(err, sentence)
  }
})
