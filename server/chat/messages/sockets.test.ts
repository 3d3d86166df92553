import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { send } from '../../../test/conversants.ts'
import { FakeConnection } from '../../../test/fake-connection.ts'
import { sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { hashPassword } from '../accounts/device-password.ts'
import { Sockets } from './sockets.ts'

const DAY_MS = 86_400_000
const IDLE_MS = 30 * DAY_MS
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

async function open(t: TestContext) {
  const rules = await openRules(t)
  const device = sampleDevice({ ...hashPassword('right', rules.random), lastSeenMs: rules.clock.nowMs() })
  const account = sampleAccount({ devices: [device] })
  assert.ok(await rules.accounts.put(account, []))
  const sockets = new Sockets({ ...rules, idlePrimaryMs: IDLE_MS })
  const right = { authorization: basic(`${account.aci}.1:right`) }
  const knock = (headers: Readonly<Record<string, string>>, path = '/v1/websocket/') =>
    sockets.admit({ path, headers, remoteAddress: '192.0.2.1' })
  const enter = async (headers: Readonly<Record<string, string>> = {}) => {
    const admission = await knock({ ...right, ...headers })
    assert.ok(admission?.admitted)
    return () => {
      const socket = new FakeConnection()
      admission.opened(socket.connection)
      return socket
    }
  }
  return { rules, account, right, knock, enter }
}

test('a socket lives at one path, with or without its last slash and a query', async (t) => {
  const { knock } = await open(t)
  for (const path of ['/v1/websocket', '/v1/websocket/', '/v1/websocket?a=b', '/v1/websocket/?login=x'])
    assert.equal((await knock({}, path))?.admitted, true, path)
  for (const path of ['/', '/v1/websocket/x', '/v1/websockets', '/v2/websocket/', 'x/v1/websocket/'])
    assert.equal(await knock({}, path), undefined, path)
})

test('without credentials one is a stranger, with wrong ones one is refused, and a lost storage is our fault', async (t) => {
  const { rules, account, right, knock } = await open(t)
  const stranger = await knock({})
  assert.ok(stranger?.admitted)
  assert.equal(stranger.device, undefined)
  const known = await knock(right)
  assert.ok(known?.admitted)
  assert.deepEqual(known.device, { aci: account.aci, deviceId: 1 })
  for (const authorization of ['', 'Basic', basic(`${account.aci}.1:wrong`), basic(`${account.aci}.2:right`)])
    assert.deepEqual(await knock({ authorization }), { admitted: false, status: 403, headers: {} })
  rules.bus.publish('accounts', { type: account.aci })
  rules.sql.read = async () => {
    throw new Error('no disk')
  }
  assert.deepEqual(await knock(right), { admitted: false, status: 500, headers: {} })
  assert.equal(rules.bugs.splice(0).length, 1)
})

test('a device that was replaced between its authentication and its socket has to come again', async (t) => {
  const { rules, account, enter } = await open(t)
  for (const headers of [{}, { 'x-signal-disable-messages': 'true' }]) {
    const openSocket = await enter(headers)
    const { devices, version } = (await rules.accounts.find(account.aci))!
    const replaced = { ...devices[0]!, createdAtMs: devices[0]!.createdAtMs + 1 }
    assert.ok(await rules.accounts.put({ ...account, version: version + 1, devices: [replaced] }, []))
    const socket = openSocket()
    await rules.sql.idle()
    assert.equal(socket.closeCode, 4401)
  }
})

test('a socket without messages displaces nobody and gets none, and goes with its device', async (t) => {
  const { rules, account, enter } = await open(t)
  const reader = (await enter())()
  const quiet = (await enter({ 'x-signal-disable-messages': 'true' }))()
  await send(rules, { to: (await rules.accounts.find(account.aci))!, timestampMs: 1 })
  await rules.sql.idle()
  assert.deepEqual([reader.timestamps, quiet.asked], [[1], []])
  assert.deepEqual([reader.closeCode, quiet.closeCode], [undefined, undefined])
  rules.queues.disconnect(account.aci, [1])
  assert.deepEqual([reader.closeCode, quiet.closeCode], [4401, 4401])
})

test('stories come to who asks for them', async (t) => {
  const { rules, account, enter } = await open(t)
  for (const [headers, expected] of [
    [{}, []],
    [{ 'x-signal-receive-stories': 'true' }, [2]],
  ] as const) {
    const socket = (await enter(headers))()
    await rules.sql.idle()
    const to = (await rules.accounts.find(account.aci))!
    await send(rules, { to, timestampMs: 2, story: true })
    await rules.sql.idle()
    assert.deepEqual(socket.timestamps, expected)
  }
})

test('a linked device is told that its primary was away for too long, and the primary is not', async (t) => {
  const { rules, account, knock } = await open(t)
  const alerts = async (primaryAwayMs: number) => {
    const { version } = (await rules.accounts.find(account.aci))!
    const proof = hashPassword('right', rules.random)
    const nowMs = rules.clock.nowMs()
    const devices = [
      sampleDevice({ ...proof, id: 1, lastSeenMs: nowMs - primaryAwayMs }),
      sampleDevice({ ...proof, id: 2, lastSeenMs: nowMs - 2 * IDLE_MS }),
    ]
    assert.ok(await rules.accounts.put({ ...account, version: version + 1, devices }, []))
    const headersFor = async (id: number) =>
      (await knock({ authorization: basic(`${account.aci}.${id}:right`) }))?.headers
    return [await headersFor(2), await headersFor(1)]
  }
  const idle = { 'X-Signal-Alert': 'idle-primary-device' }
  assert.deepEqual(await alerts(IDLE_MS), [{}, {}])
  assert.deepEqual(await alerts(IDLE_MS + 1), [idle, {}])
})
