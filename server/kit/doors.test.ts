import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Https } from '../../test/client/https.ts'
import { HTTP_VERSIONS } from '../../test/client/net.ts'
import { knock, RawSocket } from '../../test/client/raw-socket.ts'
import { openDoor } from '../../test/door.ts'
import { until } from '../../test/until.ts'
import type { Ready } from '../up.ts'

const PATH = '/v1/websocket/'

/** A connection on which a request was sent as it is. */
async function rawHttp1Open({ urls, tls }: Ready, text: string) {
  const { hostname, port } = new URL(urls.chat)
  const socket = connectTls({
    host: hostname,
    port: Number(port),
    ca: readFileSync(tls.caPem),
    ALPNProtocols: ['http/1.1'],
  })
  await once(socket, 'secureConnect')
  socket.write(text)
  return socket
}

/** Bytes to the server as they are, and all that comes back until it closes or the head is over. */
async function rawHttp1(ready: Ready, text: string): Promise<string> {
  const socket = await rawHttp1Open(ready, text)
  let answer = ''
  for await (const chunk of socket) {
    answer += chunk
    if (answer.includes('101 ') && answer.includes('\r\n\r\n')) break
  }
  socket.destroy()
  return answer
}

const upgradeText = (
  fields: Readonly<Record<string, string | undefined>> = {},
  method = 'GET',
  path = PATH,
) => {
  const headers = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...fields,
  }
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  )
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

test('an upgrade over HTTP/1.1 is answered as RFC 6455 says, with the time', async (t) => {
  const { ready, clock } = await openDoor(t)
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const head = await rawHttp1(ready, upgradeText({ 'Sec-WebSocket-Key': key }))
  assert.equal(
    head,
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nX-Signal-Timestamp: ${clock.nowMs()}\r\nX-Signal-Alert: none\r\n\r\n`,
  )
})

test('an upgrade over HTTP/1.1 that is none is refused, with the time', async (t) => {
  const { ready, clock } = await openDoor(t)
  const expected = (status: string, extra = '') =>
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\nX-Signal-Timestamp: ${clock.nowMs()}\r\n${extra}\r\n`
  const improper = [
    upgradeText({ 'Sec-WebSocket-Version': '8' }),
    upgradeText({ 'Sec-WebSocket-Version': undefined }),
    upgradeText({ 'Sec-WebSocket-Key': undefined }),
    upgradeText({ 'Sec-WebSocket-Key': 'short' }),
    upgradeText({ Upgrade: 'h2c' }),
    upgradeText({}, 'POST'),
  ]
  for (const text of improper) assert.equal(await rawHttp1(ready, text), expected('400 Bad Request'))
  assert.equal(
    await rawHttp1(ready, upgradeText({}, 'GET', '/refused')),
    expected('403 Forbidden', 'Retry-After: 7\r\n'),
  )
  assert.equal(await rawHttp1(ready, upgradeText({}, 'GET', '/nowhere')), expected('404 Not Found'))
})

test('an extended CONNECT over HTTP/2 is answered or refused, with the time', async (t) => {
  const { ready, clock } = await openDoor(t)
  const session = connectHttp2(ready.urls.chat, { ca: readFileSync(ready.tls.caPem) })
  t.after(() => session.destroy())
  await once(session, 'remoteSettings')
  assert.equal(session.remoteSettings.enableConnectProtocol, true)
  const ask = async (fields: Readonly<Record<string, string>>) => {
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': PATH,
      ':authority': 'localhost',
      'sec-websocket-version': '13',
      ...fields,
    })
    const [head] = await once(stream, 'response')
    stream.close()
    const { ':status': status, date: _, ...headers } = head
    return [status, Object.fromEntries(Object.entries(headers))]
  }
  const time = { 'x-signal-timestamp': String(clock.nowMs()) }
  assert.deepEqual(await ask({}), [200, { ...time, 'x-signal-alert': 'none' }])
  assert.deepEqual(await ask({ 'sec-websocket-version': '8' }), [400, time])
  assert.deepEqual(await ask({ ':protocol': 'connect-udp' }), [400, time])
  assert.deepEqual(await ask({ ':path': '/refused' }), [403, { ...time, 'retry-after': '7' }])
  assert.deepEqual(await ask({ ':path': '/nowhere' }), [404, time])
})

for (const httpVersion of HTTP_VERSIONS) {
  const over = `(HTTP/${httpVersion})`

  test(`a refused upgrade leaves the way open for the next ${over}`, async (t) => {
    const { ready } = await openDoor(t)
    const refused = await knock(ready, httpVersion, { path: '/refused' })
    assert.deepEqual([refused.status, refused.headers['retry-after'], refused.socket], [403, '7', undefined])
    const { socket } = await knock(ready, httpVersion)
    assert.equal((await socket!.ask('GET', '/none')).status, 204)
    await socket!.close()
  })

  test(`requests are answered with their status, headers and bytes, and no length where there is no body ${over}`, async (t) => {
    const { ready, clock } = await openDoor(t)
    await using https = Https.open(ready, httpVersion)
    const body = randomBytes(300_000)
    const echo = await https.call('POST', '/echo', { body })
    assert.equal(echo.status, 200)
    assert.deepEqual(Buffer.from(echo.body), body)
    for (const [method, path, status] of [
      ['GET', '/none', 204],
      ['GET', '/same', 304],
      ['HEAD', '/look', 200],
      ['GET', '/nowhere', 404],
      ['DELETE', '/echo', 405],
    ] as const) {
      const answer = await https.call(method, path)
      assert.equal(answer.status, status)
      assert.equal(answer.headers['x-signal-timestamp'], String(clock.nowMs()))
      assert.equal(answer.body.length, 0)
      if (status === 204 || status === 304) assert.equal(answer.headers['content-length'], undefined)
    }
  })

  test(`a body above the limit is 413, and the limit itself is taken ${over}`, async (t) => {
    const { ready, clock } = await openDoor(t)
    for (const [path, limit] of [
      ['/echo', 512 * 1024],
      ['/echo/more', 600 * 1024],
      ['/nowhere', 512 * 1024],
    ] as const) {
      await using https = Https.open(ready, httpVersion)
      const taken = await https.call('POST', path, { body: Buffer.alloc(limit) })
      assert.equal(taken.status, path === '/nowhere' ? 404 : 200)
      const refused = await https.call('POST', path, { body: Buffer.alloc(limit + 1) })
      assert.equal(refused.status, 413, path)
      assert.equal(refused.headers['x-signal-timestamp'], String(clock.nowMs()))
    }
  })

  test(`a body inside a socket has the limit of its route ${over}`, async (t) => {
    const { ready } = await openDoor(t)
    await using socket = await RawSocket.open(ready, httpVersion)
    const ask = async (path: string, bytes: number) =>
      (await socket.ask('POST', path, [], Buffer.alloc(bytes))).status
    assert.deepEqual([await ask('/echo', 512 * 1024), await ask('/echo', 512 * 1024 + 1)], [200, 413])
    assert.deepEqual(
      [await ask('/echo/more', 600 * 1024), await ask('/echo/more', 600 * 1024 + 1)],
      [200, 413],
    )
  })

  test(`doors that close say goodbye, finish what is in progress, and let nobody in ${over}`, async (t) => {
    const { ready, gate, close } = await openDoor(t)
    await using https = Https.open(ready, httpVersion)
    const socket = await RawSocket.open(ready, httpVersion)
    const asked = https.call('POST', '/slow', { body: 'asked before' })
    await until(() => gate.waiting === 1, 'the request to be in progress')
    let isClosed = false
    const closing = close(60_000).then(() => {
      isClosed = true
    })
    assert.deepEqual(await socket.closed(), { code: 1000, reason: 'OK' })
    await assert.rejects(knock(ready, httpVersion))
    assert.equal(isClosed, false)
    gate.open()
    const answer = await asked
    assert.deepEqual([answer.status, Buffer.from(answer.body).toString()], [200, 'asked before'])
    await closing
  })
}

test('doors that close wait for nobody longer than they say', async (t) => {
  const { ready, gate, clock, close } = await openDoor(t)
  const https = Https.open(ready, 1)
  const session = connectHttp2(ready.urls.chat, { ca: readFileSync(ready.tls.caPem) })
  session.on('error', () => {})
  const stream = session.request({ ':method': 'POST', ':path': '/slow' })
  stream.on('error', () => {}).end()
  const asked = https.call('POST', '/slow').catch((error: Error) => error)
  await until(() => gate.waiting === 2, 'the requests to be in progress')
  const startedAtMs = clock.nowMs()
  const ended = once(session, 'close')
  await close(3_000)
  assert.ok(clock.nowMs() - startedAtMs >= 3_000)
  assert.ok((await asked) instanceof Error)
  await ended
})

test('doors with nothing in progress close at once', async (t) => {
  const { doors } = await openDoor(t)
  const { port } = doors
  await doors.close(60_000)
  await assert.rejects(once(connectTls({ port, host: '127.0.0.1' }), 'secureConnect'))
})

/** A connection as the doors see it before a byte has come. */
class Knocking {
  destroyed = false
  closed: (() => void) | undefined
  readonly remoteAddress: string

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress
  }

  destroy(): void {
    this.destroyed = true
  }

  once(_event: 'close', closed: () => void): void {
    this.closed = closed
  }
}

test('one address has so many connections and no more, and loopback as many as it likes', async (t) => {
  const { doors } = await openDoor(t)
  const knocking = (address: string) => {
    const socket = new Knocking(address)
    ;(doors as unknown as { admitConnection(socket: Knocking): void }).admitConnection(socket)
    return socket
  }
  const isIn = (address: string) => !knocking(address).destroyed
  const first = knocking('192.0.2.1')
  assert.deepEqual([first.destroyed, isIn('192.0.2.1'), isIn('192.0.2.1')], [false, true, false])
  assert.equal(isIn('::ffff:192.0.2.1'), false)
  assert.equal(isIn('192.0.2.2'), true)
  first.closed!()
  assert.deepEqual([isIn('192.0.2.1'), isIn('192.0.2.1')], [true, false])
  const network = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1']
  assert.deepEqual(network.map(isIn), [true, true, false, true])
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])
    assert.deepEqual(
      [1, 2, 3, 4].map(() => isIn(address)),
      [true, true, true, true],
      address,
    )
})

test('whoever works on a request hears that its client is gone, through every door', async (t) => {
  const { ready, waiting } = await openDoor(t)
  const leaveHttp1 = async () => {
    const socket = await rawHttp1Open(ready, 'GET /patient HTTP/1.1\r\nHost: localhost\r\n\r\n')
    return () => socket.destroy()
  }
  const leaveHttp2 = async () => {
    const session = connectHttp2(ready.urls.chat, { ca: readFileSync(ready.tls.caPem) })
    session.on('error', () => {})
    session.request({ ':path': '/patient' }).on('error', () => {})
    return () => session.destroy()
  }
  const leaveSocket = async () => {
    const socket = await RawSocket.open(ready, 1)
    void socket.ask('GET', '/patient').catch(() => {})
    return () => socket.websocket.terminate()
  }
  for (const enter of [leaveHttp1, leaveHttp2, leaveSocket]) {
    const leave = await enter()
    assert.equal(await waiting.next(), 'comes')
    leave()
    assert.equal(await waiting.next(), 'goes')
  }
})
