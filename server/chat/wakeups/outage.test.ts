import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { send } from '../../../test/conversants.ts'
import { sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { ScriptedGateway } from '../../../test/scripted-gateway.ts'

const PHONES = 400

async function open(t: TestContext) {
  const gateway = new ScriptedGateway()
  const rules = await openRules(t, { push: gateway })
  const phones = Array.from({ length: PHONES }, (_, index) =>
    sampleAccount({ devices: [sampleDevice({ fcmToken: `phone-${index}` })] }),
  )
  for (const phone of phones) assert.ok(await rules.accounts.put(phone, []))
  /** Three messages to each. How many lists that wrote for the messages themselves. */
  const writeAll = async () => {
    const from = rules.sql.written.length
    for (let count = 0; count < 3; count++)
      for (const to of phones) await send(rules, { to, timestampMs: count })
    const written = rules.sql.written.slice(from)
    return written.filter((list) => list.some(({ sql }) => sql.includes('INTO messages'))).length
  }
  const woken = () => gateway.pushes.splice(0).map(({ to }) => (to.service === 'web' ? '' : to.token))
  const all = phones.map((_, index) => `phone-${index}`).sort()
  return { ...rules, gateway, wakeUps: rules.wakeUps!, writeAll, woken, all }
}

test('a provider that never answers holds no message up, and then wakes everybody once', async (t) => {
  const { gateway, wakeUps, writeAll, woken, all } = await open(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  gateway.gate = promise
  assert.equal(await writeAll(), 3 * PHONES, 'one list a message, and none waited for a push')
  assert.ok(gateway.pushes.length <= 256, 'what is under way is bounded')
  resolve()
  await wakeUps.idle()
  assert.deepEqual(woken().sort(), all)
})

for (const untried of [undefined, true] as const)
  test(`a provider that is ${untried ? 'left alone' : 'down'} holds no message up, and then wakes everybody once`, async (t) => {
    const { gateway, wakeUps, clock, writeAll, woken, all } = await open(t)
    gateway.push = async (push) => {
      gateway.pushes.push(push)
      return { kind: 'later', afterMs: 5_000, untried }
    }
    assert.equal(await writeAll(), 3 * PHONES)
    await wakeUps.idle()
    assert.deepEqual(woken().sort(), all, 'each was tried once: more messages do not hurry it')
    Reflect.deleteProperty(gateway, 'push')
    clock.advance(5_000)
    await wakeUps.idle()
    assert.deepEqual(woken().sort(), all)
    clock.advance(5_000)
    await wakeUps.idle()
    assert.deepEqual(woken(), [])
  })
