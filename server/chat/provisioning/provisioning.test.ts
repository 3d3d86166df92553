import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRules } from '../../../test/chat-rules.ts'
import { FakeConnection } from '../../../test/fake-connection.ts'
import { newAci } from '../../../test/sample-account.ts'
import { ProvisioningAddress } from '../../../wire/gen/provisioning.js'
import { Refusal } from '../../kit/refusal.ts'
import { IDLE_MS, LIFETIME_MS, MAX_MESSAGE_BYTES } from './provisioning.ts'

const PATH = '/v1/websocket/provisioning/'

async function open(t: TestContext) {
  const rules = await openRules(t)
  const { provisioning, clock } = rules
  const knock = (path = PATH, headers = {}) =>
    provisioning.admit({ path, headers, remoteAddress: '192.0.2.1' })
  const enter = async () => {
    const admission = await knock()
    assert.ok(admission?.admitted)
    const socket = new FakeConnection()
    socket.lastHeardMs = clock.steadyMs()
    admission.opened(socket.connection)
    const { address } = ProvisioningAddress.decode(socket.asked[0]!.body)
    return { socket, address }
  }
  const send = (address: string, message = Buffer.from('sealed')) =>
    provisioning.send(newAci(), address, message)
  /** Lets time pass in small steps, with the client giving signs of life. */
  const live = (socket: FakeConnection, ms: number) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000)
      socket.lastHeardMs = clock.steadyMs()
    }
  }
  return { ...rules, knock, enter, send, live }
}

test('a provisioning socket lives at its own path, and needs nobody to be anybody', async (t) => {
  const { knock } = await open(t)
  for (const path of [PATH, '/v1/websocket/provisioning', '/v1/websocket/provisioning/?a=b']) {
    const admission = await knock(path)
    assert.ok(admission?.admitted)
    assert.deepEqual([admission.device, admission.socket], [undefined, 'provisioning'])
  }
  for (const path of [
    '/v1/websocket/',
    '/v1/provisioning/',
    '/v1/websocket/provisioning/x',
    '/v1/websocket/provisioningx',
  ])
    assert.equal(await knock(path), undefined, path)
})

test('a socket is told its address at once: 16 bytes that nobody can guess', async (t) => {
  const { enter, clock } = await open(t)
  const sockets = [await enter(), await enter(), await enter()]
  for (const { socket, address } of sockets) {
    assert.match(address, /^[A-Za-z0-9_-]{22}==$/)
    const [asked] = socket.asked
    assert.deepEqual([asked!.path, asked!.headers], ['/v1/address', [`X-Signal-Timestamp:${clock.nowMs()}`]])
  }
  assert.equal(new Set(sockets.map(({ address }) => address)).size, 3)
})

test('a message reaches the socket of its address as it is, which is closed once it has answered', async (t) => {
  const { enter, send } = await open(t)
  const { socket, address } = await enter()
  const other = await enter()
  socket.answer(socket.asked[0]!)
  assert.equal(socket.closeCode, undefined)
  assert.equal(await send(address), true)
  const [, message] = socket.asked
  assert.deepEqual([message!.path, Buffer.from(message!.body).toString()], ['/v1/message', 'sealed'])
  assert.equal(socket.closeCode, undefined, 'not before the answer')
  socket.answer(message!)
  assert.deepEqual([socket.closeCode, socket.closeReason], [1000, 'Closed'])
  assert.deepEqual([other.socket.asked.length, other.socket.isOpen], [1, true])
})

test('a refused message closes the socket, too', async (t) => {
  const { enter, send } = await open(t)
  const { socket, address } = await enter()
  await send(address)
  socket.answer(socket.asked[1]!, 500)
  assert.equal(socket.closeReason, 'Closed')
})

test('an address takes one message, and none when nobody is there', async (t) => {
  const { enter, send } = await open(t)
  assert.equal(await send('AAAAAAAAAAAAAAAAAAAAAA=='), false)
  const { socket, address } = await enter()
  assert.equal(await send(address), true)
  assert.equal(await send(address), false)
  assert.equal(socket.asked.length, 2)
  const gone = await enter()
  gone.socket.end()
  assert.equal(await send(gone.address), false)
})

test('a socket is closed after 90 seconds, however lively it is', async (t) => {
  const { enter, send, live } = await open(t)
  const { socket, address } = await enter()
  live(socket, LIFETIME_MS - 1_000)
  assert.equal(socket.isOpen, true)
  live(socket, 1_000)
  assert.deepEqual([socket.closeCode, socket.closeReason], [1000, 'Timeout'])
  await Promise.resolve()
  assert.equal(await send(address), false)
})

test('a socket that says nothing for a minute is ended', async (t) => {
  const { enter, live, clock } = await open(t)
  const { socket } = await enter()
  live(socket, 20_000)
  clock.advance(IDLE_MS - 1)
  assert.equal(socket.isOpen, true)
  clock.advance(1)
  assert.deepEqual([socket.isOpen, socket.closeCode], [false, undefined])
})

test('too long a message is refused, and messages are limited by their sender', async (t) => {
  const { enter, provisioning, limited } = await open(t)
  const { socket, address } = await enter()
  const from = newAci()
  await assert.rejects(
    provisioning.send(from, address, Buffer.alloc(MAX_MESSAGE_BYTES + 1)),
    (error) => error instanceof Refusal && error.kind === 'bad-request',
  )
  assert.equal(await provisioning.send(from, address, Buffer.alloc(MAX_MESSAGE_BYTES)), true)
  assert.equal(socket.asked[1]!.body.length, MAX_MESSAGE_BYTES)
  assert.deepEqual(limited, [`messages: ${from}`])
})
