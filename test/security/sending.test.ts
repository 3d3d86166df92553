// Sending: exact answers to wrong devices (M5), sizes at the boundary (M6), floods (L3), the same on every door.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Messages, SendMessageType } from '../../wire/gen/messages.js'
import { MAX_CONTENT_BYTES } from '../../wire/limits.ts'
import type { Aci, ServiceId } from '../../wire/types.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf } from '../client/https.ts'
import { linkDevice } from '../client/linked-device.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { type Copy, copyFor, openSendDoors, type SendDoor } from './send-doors.ts'

const BYTES = 20_000
const aciOf = (account: Registered) => account.aci.getServiceIdString() as Aci
const pniOf = (account: Registered) => account.pni.getServiceIdString() as ServiceId

let server: Constellation
let doors: readonly SendDoor[]
let close: () => Promise<void>
let phone: Registered
let laptop: Registered
let stranger: Registered
before(async () => {
  server = await Constellation.open()
  phone = await register(server)
  laptop = await linkDevice(server, phone)
  stranger = await register(server)
  ;({ doors, close } = await openSendDoors(server))
})
after(async () => {
  await close()
  await server.close()
})

type Lists = { readonly missing: number[]; readonly extra: number[]; readonly stale: number[] }

/** REST tells stale devices alone and first; gRPC tells everything. */
function expected(door: SendDoor, { missing, extra, stale }: Lists) {
  if (door.name === 'gRPC') return { status: 409, json: { missing, extra, stale } }
  if (stale.length > 0) return { status: 410, json: { staleDevices: stale } }
  return { status: 409, json: { missingDevices: missing, extraDevices: extra } }
}

test('M5: wrong devices are told of exactly, whatever is wrong at once', async () => {
  const [one, two] = [copyFor(phone), copyFor(laptop)]
  const three = { ...two, deviceId: laptop.deviceId + 1 }
  const old = (copy: Copy): Copy => ({ ...copy, registrationId: (copy.registrationId % 16_000) + 1 })
  const id = laptop.deviceId
  const cases: [readonly Copy[], Lists][] = [
    [[one], { missing: [id], extra: [], stale: [] }],
    [[one, two, three], { missing: [], extra: [id + 1], stale: [] }],
    [[two, three], { missing: [1], extra: [id + 1], stale: [] }],
    [[old(one), two], { missing: [], extra: [], stale: [1] }],
    [[old(one), old(two)], { missing: [], extra: [], stale: [1, id] }],
    [[old(one), three], { missing: [id], extra: [id + 1], stale: [1] }],
  ]
  for (const door of doors)
    for (const [copies, lists] of cases)
      for (const from of [{ device: stranger }, { key: phone.accessKey }]) {
        const { status, json } = await door.send(from, { to: aciOf(phone), copies })
        assert.deepEqual({ status, json }, expected(door, lists), door.name)
      }
})

test('M5: a device writes to its own account’s others, never to itself, and not to its own number', async () => {
  const [one, two] = [copyFor(phone), copyFor(laptop)]
  for (const door of doors) {
    const from = { device: phone }
    const toOwnPni = await door.send(from, { to: pniOf(phone), copies: [one] })
    assert.equal(toOwnPni.status, door.name === 'gRPC' ? 400 : 403, door.name)
    const toAll = await door.send(from, { to: aciOf(phone), copies: [one, two] })
    if (door.name === 'gRPC') {
      assert.equal(toAll.status, 422)
      continue
    }
    assert.deepEqual([toAll.status, toAll.json], [409, { missingDevices: [], extraDevices: [1] }])
    assert.equal((await door.send(from, { to: aciOf(phone), copies: [two] })).status, 200)
    assert.equal((await door.send({ device: laptop }, { to: aciOf(phone), copies: [one] })).status, 200)
    assert.equal((await door.send(from, { to: aciOf(phone), copies: [] })).status, 422)
    const lonely = await door.send({ device: stranger }, { to: aciOf(stranger), copies: [copyFor(stranger)] })
    assert.deepEqual(lonely.json, { missingDevices: [], extraDevices: [1] })
  }
})

test('M5: by gRPC a sync message has a call of its own', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const sync = (of: Registered, ...copies: Registered[]) => {
    const messages = Object.fromEntries(
      copies.map(({ deviceId, keys }) => [
        deviceId,
        {
          registrationId: keys.aci.registrationId,
          payload: new Uint8Array(8),
          type: SendMessageType.DOUBLE_RATCHET,
        },
      ]),
    )
    const request = { urgent: false, messages: { timestamp: 5, messages } }
    return grpc.call(Messages.rpcs.sendSyncMessage, request, authorizationOf(of))
  }
  assert.equal((await sync(phone, laptop)).reply?.response, 'success')
  const both = await sync(phone, phone, laptop)
  assert.deepEqual([...both.reply!.mismatchedDevices!.extraDevices], [1])
  const wrong = await sync(laptop, laptop)
  const { missingDevices, extraDevices } = wrong.reply!.mismatchedDevices!
  assert.deepEqual([[...missingDevices], [...extraDevices]], [[1], [laptop.deviceId]])
  assert.equal((await sync(phone)).reason, 'CONSTRAINT_VIOLATED')
})

test('M6: a copy may have 96 KiB and not a byte more, and a list may not be empty', async () => {
  for (const door of doors)
    for (const from of [{ device: phone }, { key: stranger.accessKey }]) {
      const send = async (copies: readonly Copy[]) =>
        (await door.send(from, { to: aciOf(stranger), copies })).status
      assert.equal(await send([copyFor(stranger, MAX_CONTENT_BYTES)]), 200, door.name)
      const tooLarge = await send([copyFor(stranger, MAX_CONTENT_BYTES + 1)])
      assert.equal(tooLarge, door.name === 'gRPC' ? 422 : 413, door.name)
      assert.equal(await send([copyFor(stranger, 0)]), 422, door.name)
      assert.equal(await send([]), 422, door.name)
    }
})

test('L3: a flood from one to another meets one bucket, whatever door it comes through', async () => {
  await using small = await Constellation.open({
    config: { limits: { messages: { bucket: 7, refill: 3600 } } },
  })
  const [source, target, other] = [await register(small), await register(small), await register(small)]
  const opened = await openSendDoors(small)
  const typing = (door: SendDoor, from: Registered, to: Registered) =>
    door.send({ device: from }, { to: aciOf(to), copies: [copyFor(to)], online: true })
  const statuses: number[] = []
  for (const door of [...opened.doors, ...opened.doors])
    statuses.push((await typing(door, source, target)).status)
  assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200, 200, 429, 429, 429])
  for (const door of opened.doors) {
    assert.equal((await typing(door, source, target)).status, 429, door.name)
    assert.equal((await typing(door, source, other)).status, 200, door.name)
  }
  assert.equal((await typing(opened.doors[0]!, other, target)).status, 200)
  await opened.close()
})

test('L3: the bytes to one account meet one bucket, by name or sealed, whatever door they come through', async () => {
  const config = { limits: { inboundMessageBytes: { bucket: 7 * BYTES + 1, refill: 3600 } } }
  await using small = await Constellation.open({ config })
  const [source, target, other] = [await register(small), await register(small), await register(small)]
  const opened = await openSendDoors(small)
  const flood = async (door: SendDoor, index: number, to: Registered) => {
    const from = index % 2 === 0 ? { device: source } : { key: to.accessKey }
    const copies = [copyFor(to, BYTES)]
    return (await door.send(from, { to: aciOf(to), copies, online: index % 3 === 0 })).status
  }
  const statuses: number[] = []
  for (const [index, door] of [...opened.doors, ...opened.doors].entries())
    statuses.push(await flood(door, index, target))
  assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200, 200, 429, 429, 429])
  for (const [index, door] of opened.doors.entries()) {
    assert.equal(await flood(door, index, target), 429, door.name)
    if (index < 3) assert.equal(await flood(door, index, other), 200, door.name)
  }
  await opened.close()
})
