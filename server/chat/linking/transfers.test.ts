import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { addOwner, join, newDevice, primaryOf } from '../../../test/joiner.ts'
import { Refusal } from '../../kit/refusal.ts'

const HOUR_MS = 3_600_000
const ADDRESS = '192.0.2.7'
const patient = { onGone: () => ({ cancel: () => {} }) }
const archive = { cdn: 3, key: 'a-key' }
const request = { method: 'DEVICE_TRANSFER', bootstrap: Buffer.of(1, 2) } as const

async function open(t: TestContext) {
  const rules = await openRules(t)
  const { aci } = await addOwner(rules)
  const { device } = await join(rules, aci)
  const to = { deviceId: device.id, registrationId: device.registrationId }
  const linked = { aci, deviceId: device.id }
  /** What a wait of a second gives. */
  const soon = async <T>(waiting: Promise<T>): Promise<T> => {
    await rules.sql.idle()
    rules.clock.advance(1_000)
    return waiting
  }
  return { rules, aci, primary: primaryOf(aci), linked, to, soon, ...rules }
}

const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

test('an archive reaches the device that it is for, waiting or not, for an hour', async (t) => {
  const { transfers, primary, linked, to, clock, sql, soon } = await open(t)
  const waiting = transfers.waitForArchive(linked, 30, patient)
  await sql.idle()
  await transfers.putArchive(primary, to, archive)
  assert.deepEqual(await waiting, archive)
  clock.advance(HOUR_MS - 1)
  assert.deepEqual(await transfers.waitForArchive(linked, 30, patient), archive)
  clock.advance(1)
  assert.equal(await soon(transfers.waitForArchive(linked, 1, patient)), undefined)
})

test('an archive that could not be made says why, and a later word replaces an earlier', async (t) => {
  const { transfers, primary, linked, to } = await open(t)
  for (const word of [archive, { error: 'RELINK_REQUESTED' as const }, { cdn: 0, key: 'b' }]) {
    await transfers.putArchive(primary, to, word)
    assert.deepEqual(await transfers.waitForArchive(linked, 1, patient), word)
  }
})

test('an archive is for one device in one life: not for its successor, nor for anybody else', async (t) => {
  const { rules, transfers, devices, aci, primary, linked, to, soon, clock } = await open(t)
  await transfers.putArchive(primary, { ...to, registrationId: to.registrationId + 1 }, archive)
  assert.equal(await soon(transfers.waitForArchive(linked, 1, patient)), undefined)
  await transfers.putArchive(primary, to, archive)
  assert.equal(await soon(transfers.waitForArchive(primary, 1, patient)), undefined)
  await devices.remove(primary, 2)
  clock.advance(60_000)
  await join(rules, aci, newDevice({ registrationId: to.registrationId }))
  assert.equal(await soon(transfers.waitForArchive(linked, 1, patient)), undefined)
})

test('whoever still waits when its device was removed gets nothing of what its successor gets', async (t) => {
  const { rules, transfers, devices, aci, primary, linked, to, sql } = await open(t)
  const waiting = transfers.waitForArchive(linked, 30, patient)
  const refused = assert.rejects(waiting, refusedAs('invalid-credentials'))
  await sql.idle()
  await devices.remove(primary, 2)
  await join(rules, aci, newDevice({ registrationId: to.registrationId }))
  await transfers.putArchive(primary, to, archive)
  await refused
  assert.equal(rules.waits.size, 0)
})

test('how the new device wants the data reaches whoever knows the token, for an hour', async (t) => {
  const { transfers, sql, clock, soon } = await open(t)
  const waiting = transfers.waitForRestoreRequest('token', 30, ADDRESS, patient)
  await sql.idle()
  await transfers.putRestoreRequest('token', request, ADDRESS)
  const found = await waiting
  assert.deepEqual([found?.method, Buffer.from(found!.bootstrap!)], [request.method, request.bootstrap])
  assert.equal(await soon(transfers.waitForRestoreRequest('another', 1, ADDRESS, patient)), undefined)
  const without = { method: 'DECLINE', bootstrap: undefined } as const
  await transfers.putRestoreRequest('token', without, ADDRESS)
  assert.deepEqual(await transfers.waitForRestoreRequest('token', 1, ADDRESS, patient), without)
  clock.advance(HOUR_MS)
  assert.equal(await soon(transfers.waitForRestoreRequest('token', 1, ADDRESS, patient)), undefined)
})

test('what is over its hour leaves the storage by itself', async (t) => {
  const { transfers, primary, to, sql, clock } = await open(t)
  await transfers.putArchive(primary, to, archive)
  await transfers.putRestoreRequest('token', request, ADDRESS)
  const rows = async () => {
    const tables = ['used_link_tokens', 'transfer_archives', 'restore_requests']
    const counts = tables.map((table) => sql.read(`SELECT COUNT(*) AS n FROM ${table}`))
    return (await Promise.all(counts)).map(([row]) => row!['n'])
  }
  clock.advance(HOUR_MS - 1)
  await sql.idle()
  assert.deepEqual(await rows(), [1, 1, 1])
  clock.advance(600_000)
  await sql.idle()
  assert.deepEqual(await rows(), [0, 0, 0])
})

test('a token or a timeout that cannot be one is refused', async (t) => {
  const { transfers, linked } = await open(t)
  for (const token of ['', '  ', 'x'.repeat(65), 'a\0b']) {
    await assert.rejects(transfers.putRestoreRequest(token, request, ADDRESS), refusedAs('bad-request'))
    const waiting = transfers.waitForRestoreRequest(token, 1, ADDRESS, patient)
    await assert.rejects(waiting, refusedAs('bad-request'))
  }
  for (const timeout of [0, 3_601]) {
    await assert.rejects(transfers.waitForArchive(linked, timeout, patient), refusedAs('bad-request'))
    const waiting = transfers.waitForRestoreRequest('token', timeout, ADDRESS, patient)
    await assert.rejects(waiting, refusedAs('bad-request'))
  }
})

test('every call has its limiter, by account, device or address', async (t) => {
  const { transfers, primary, linked, to, limited } = await open(t)
  limited.splice(0)
  await transfers.putArchive(primary, to, archive)
  await transfers.waitForArchive(linked, 1, patient)
  await transfers.putRestoreRequest('token', request, ADDRESS)
  await transfers.waitForRestoreRequest('token', 1, ADDRESS, patient)
  assert.deepEqual(limited, [
    `uploadTransferArchive: ${primary.aci}`,
    `waitForTransferArchive: ${linked.aci}:2`,
    `recordDeviceTransferRequest: ${ADDRESS}`,
    `waitForDeviceTransferRequest: ${ADDRESS}`,
  ])
})

test('whoever was removed neither says where an archive is nor waits for one', async (t) => {
  const { transfers, devices, primary, linked, to } = await open(t)
  await devices.remove(primary, 2)
  await assert.rejects(transfers.waitForArchive(linked, 1, patient), refusedAs('invalid-credentials'))
  await assert.rejects(transfers.putArchive(linked, to, archive), refusedAs('invalid-credentials'))
})
