import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../engines.ts'
import { WebPushService } from '../push/web-push-service.ts'
import { pushKills, UNDER_WAY } from './push-kills.ts'

/** `PUSH_KILLS=20` for more of them. */
const ROUNDS = Number(process.env['PUSH_KILLS'] ?? 2)

test('no wake-up is lost when the chat server or the push process is killed under load', async (t) => {
  const service = await WebPushService.open(t)
  const caFile = join(await temporaryFolder(t), 'ca.pem')
  await writeFile(caFile, service.ca)
  const seed = Date.now() % 1_000_000
  t.diagnostic(`seed ${seed}`)
  const result = await pushKills({ rounds: ROUNDS, seed, service, caFile })
  t.diagnostic(JSON.stringify(result))
  assert.deepEqual(service.faults, [])
  assert.equal(result.lost, 0)
  assert.ok(result.due > 4 * result.kills, `only ${result.due} phones had something: too few to tell`)
  assert.ok(result.doubled <= UNDER_WAY * result.kills, `${result.doubled} doubled`)
})
