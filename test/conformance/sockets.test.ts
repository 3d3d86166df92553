// Websockets (signal-api §1.3): upgrades, frames, close codes.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { encodeRequest, encodeResponse, MAX_FRAME_BYTES } from '../../wire/websocket.ts'
import { authorizationOf, basic } from '../client/https.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { knock, RawSocket } from '../client/raw-socket.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const NO_BODY = Buffer.alloc(0)
let server: Constellation
let account: Registered
before(async () => {
  server = await Constellation.open()
  account = await register(server)
})
after(() => server.close())

for (const httpVersion of HTTP_VERSIONS)
  describe(`websockets over HTTP/${httpVersion}`, () => {
    const accepted = httpVersion === 1 ? 101 : 200
    const knockWith = (headers: Readonly<Record<string, string>>, path?: string) =>
      knock(server.ready, httpVersion, { headers, ...(path !== undefined && { path }) })
    const open = () => RawSocket.open(server.ready, httpVersion)

    test('an upgrade with credentials that are wrong in any way is 403 and tells the time', async () => {
      const id = account.aci.getServiceIdString()
      const wrong = [
        basic(`${id}.1`, 'wrong'),
        basic(`${id}.2`, account.password),
        basic(`${randomUUID()}.1`, account.password),
        basic('garbage', ''),
        'Basic ???',
        'Bearer token',
      ]
      for (const authorization of wrong) {
        const { status, headers } = await knockWith({ authorization })
        assert.equal(status, 403)
        assert.ok(Math.abs(Date.now() - Number(headers['x-signal-timestamp'])) < 60_000)
      }
    })

    test('an accepted upgrade tells the time, and speaks no extension', async () => {
      for (const headers of [{}, authorizationOf(account)]) {
        const { status, headers: answered, socket } = await knockWith(headers)
        assert.equal(status, accepted)
        assert.match(answered['x-signal-timestamp'] ?? '', /^\d{13}$/)
        assert.equal(answered['sec-websocket-extensions'], undefined)
        await socket?.close()
      }
    })

    test('libsignal learns that its device is not registered, and what the time is', async () => {
      const listener = {
        onConnectionInterrupted: () => {},
        onIncomingMessage: () => {},
        onQueueEmpty: () => {},
      }
      const refused = openNet(server.ready, httpVersion).connectAuthenticatedChat(
        `${randomUUID()}.1`,
        'password',
        false,
        listener,
      )
      await assert.rejects(refused, { code: LS.ErrorCode.DeviceDelinked })
      const { promise, resolve } = Promise.withResolvers<number>()
      const chat = await openNet(server.ready, httpVersion).connectAuthenticatedChat(
        `${account.aci.getServiceIdString()}.1`,
        account.password,
        false,
        { ...listener, onServerTimestamp: resolve },
      )
      assert.ok(Math.abs(Date.now() - (await promise)) < 60_000)
      await chat.disconnect()
    })

    test('a path without its last slash, or with a query, is the same socket; another path is 404', async () => {
      for (const path of ['/v1/websocket', '/v1/websocket/?agent=x']) {
        const { status, socket } = await knockWith({}, path)
        assert.equal(status, accepted)
        assert.equal((await socket!.ask('GET', '/v1/keepalive')).status, 200)
        await socket!.close()
      }
      const { status, headers } = await knockWith({}, '/v1/nowhere')
      assert.equal(status, 404)
      assert.match(headers['x-signal-timestamp'] ?? '', /^\d{13}$/)
    })

    test('old credentials in the query are not looked at', async () => {
      const login = `${account.aci.getServiceIdString()}.1`
      const path = `/v1/websocket/?login=${login}&password=${encodeURIComponent(account.password)}`
      const { socket } = await knockWith({}, path)
      assert.equal((await socket!.ask('GET', '/v1/accounts/whoami')).status, 401)
      await socket!.close()
    })

    test('a refusal inside a socket does not close it, and has no body', async () => {
      await using socket = await open()
      const header = `authorization:${authorizationOf(account).authorization}`
      const refused = await socket.ask('GET', '/v1/accounts/whoami', [header])
      assert.deepEqual([refused.status, refused.message, refused.body.length], [401, 'Unauthorized', 0])
      const names = refused.headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase()).sort()
      assert.deepEqual(names, ['content-length', 'x-signal-timestamp'])
      assert.equal((await socket.ask('GET', '/v1/keepalive')).status, 200)
    })

    test('text frames are not looked at', async () => {
      await using socket = await open()
      socket.websocket.send('{"verb":"GET"}')
      socket.websocket.send('')
      assert.equal((await socket.ask('GET', '/v1/keepalive')).status, 200)
    })

    test('a frame that is no message closes with 1007', async () => {
      const request = encodeRequest({ verb: 'GET', path: '/v1/keepalive', headers: [], body: NO_BODY, id: 1 })
      const broken = [
        Buffer.from([0xff, 0xff, 0xff]),
        NO_BODY,
        Buffer.from([0x08, 0x00]),
        Buffer.from([0x08, 0x03]),
        Buffer.from([0x08, 0x01]),
        request.subarray(0, request.length - 1),
        Buffer.concat([request, Buffer.from([0x07])]),
      ]
      for (const frame of broken) {
        const socket = await open()
        socket.websocket.send(frame)
        assert.deepEqual(
          await socket.closed(),
          { code: 1007, reason: 'Badly formatted' },
          frame.toString('hex'),
        )
        await socket.close()
      }
    })

    test('a frame may have 784 KiB; a byte more closes with 1009', async () => {
      const frameOf = (bytes: number): Buffer => {
        const request = { verb: 'PUT', path: '/v1/nowhere', headers: [], id: 9 }
        const overhead = encodeRequest({ ...request, body: Buffer.alloc(400_000) }).length - 400_000
        return encodeRequest({ ...request, body: Buffer.alloc(bytes - overhead) })
      }
      const socket = await open()
      assert.equal(frameOf(MAX_FRAME_BYTES).length, MAX_FRAME_BYTES)
      socket.websocket.send(frameOf(MAX_FRAME_BYTES))
      assert.equal((await socket.responses.next()).status, 404)
      socket.websocket.send(frameOf(MAX_FRAME_BYTES + 1))
      assert.equal((await socket.closed()).code, 1009)
      await socket.close()
    })

    test('a request without an id is served and not answered; an id of 64 bits comes back', async () => {
      await using socket = await open()
      const keepalive = { verb: 'GET', path: '/v1/keepalive', headers: [], body: NO_BODY }
      socket.websocket.send(encodeRequest({ ...keepalive, id: undefined }))
      const large = 0xffff_ffff_ffff_ffffn
      socket.websocket.send(encodeRequest({ ...keepalive, id: large }))
      assert.equal((await socket.responses.next()).id, large)
      socket.websocket.send(encodeRequest({ ...keepalive, id: 0 }))
      assert.equal((await socket.responses.next()).id, 0)
      assert.equal(socket.responses.all.length, 2)
    })

    test('an answer to a question that was never asked is passed over', async () => {
      await using socket = await open()
      const answer = { status: 200, message: 'OK', headers: [], body: NO_BODY }
      for (const id of [1, 77, 0xffff_ffff_ffff_ffffn])
        socket.websocket.send(encodeResponse({ ...answer, id }))
      assert.equal((await socket.ask('GET', '/v1/keepalive')).status, 200)
    })

    test('hundreds of requests at once are all answered, each under its id', async () => {
      await using socket = await open()
      const ids = Array.from({ length: 700 }, (_, index) => index + 1)
      for (const id of ids)
        socket.websocket.send(
          encodeRequest({ verb: 'GET', path: '/v1/keepalive', headers: [], body: NO_BODY, id }),
        )
      await socket.responses.size(ids.length)
      assert.deepEqual(
        socket.responses.all.map(({ id }) => Number(id)).sort((a, b) => a - b),
        ids,
      )
      assert.ok(socket.responses.all.every(({ status }) => status === 200))
    })

    test('a ping is answered with its own bytes', async () => {
      await using socket = await open()
      const pong = once(socket.websocket, 'pong')
      socket.websocket.ping(Buffer.from([1]))
      assert.deepEqual((await pong)[0], Buffer.from([1]))
    })

    test('a method that a path does not have is 405', async () => {
      await using socket = await open()
      const { status, headers } = await socket.ask('DELETE', '/v1/keepalive')
      assert.equal(status, 405)
      assert.ok(headers.some((line) => /^allow:\s?GET/i.test(line)))
    })

    test('a server that stops says goodbye with 1000, and libsignal can come back', async () => {
      await using own = await Constellation.open()
      const client = await SignalClient.create(own, { httpVersion })
      const socket = await RawSocket.open(own.ready, httpVersion)
      const { link } = client
      await own.restart()
      assert.equal((await socket.closed()).code, 1000)
      assert.notEqual(await link.interrupted(), null)
      await client.connect()
      await client.link.queueEmpty()
      await client.disconnect()
      await socket.close()
    })
  })
