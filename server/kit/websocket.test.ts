import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { HTTP_VERSIONS, type HttpVersion } from '../../test/client/net.ts'
import { RawSocket } from '../../test/client/raw-socket.ts'
import { openDoor } from '../../test/door.ts'
import { until } from '../../test/until.ts'
import { CLOSE, encodeRequest } from '../../wire/websocket.ts'
import { IDLE_TIMEOUT_MS } from './websocket.ts'

const MEGABYTE = Buffer.alloc(2 ** 20, 7)
const NO_BODY = Buffer.alloc(0)

async function open(t: TestContext, httpVersion: HttpVersion, headers = {}) {
  const door = await openDoor(t)
  const client = await RawSocket.open(door.ready, httpVersion, { headers })
  t.after(() => client.websocket.terminate())
  const connection = await door.sockets.next()
  const another = async () => {
    const other = await RawSocket.open(door.ready, httpVersion)
    t.after(() => other.websocket.terminate())
    return { client: other, connection: await door.sockets.next() }
  }
  return { ...door, client, connection, another }
}

/** What `ws` keeps of a server's socket. */
const internals = (connection: object) =>
  connection as {
    readonly websocket: { readonly isPaused: boolean }
    readonly stream: { readonly writableLength: number }
  }

for (const httpVersion of HTTP_VERSIONS) {
  const over = `(HTTP/${httpVersion})`

  test(`a socket that is silent for 45 seconds is pinged, and stays as long as it answers ${over}`, async (t) => {
    const { clock, client, connection, websockets } = await open(t, httpVersion)
    for (let round = 1; round <= 4; round++) {
      const pinged = once(client.websocket, 'ping')
      const heardMs = connection.lastHeardMs
      clock.advance(IDLE_TIMEOUT_MS / 2)
      await pinged
      await until(() => connection.lastHeardMs > heardMs, 'the pong')
    }
    assert.equal(connection.isOpen, true)
    assert.equal(websockets.size, 1)
  })

  test(`a socket that has to go is answered first what it asked, but nothing holds it for long ${over}`, async (t) => {
    const { clock, client, connection, gate, another } = await open(t, httpVersion)
    const other = await another()
    const answered = client.ask('POST', '/slow')
    const unanswered = { verb: 'POST', path: '/slow', headers: [], body: NO_BODY, id: 1 }
    other.client.websocket.send(encodeRequest(unanswered))
    await until(() => gate.waiting === 2, 'both to be asked')
    other.connection.finish(CLOSE.reauthenticate, 500)
    clock.advance(499)
    assert.equal(other.connection.isOpen, true)
    clock.advance(1)
    assert.equal((await other.client.closed()).code, 4401)
    connection.finish(CLOSE.reauthenticate, 500)
    gate.open()
    assert.equal((await answered).status, 200)
    assert.equal((await client.closed()).code, 4401)
  })

  test(`a socket that is silent for 90 seconds is dead, and its owner is told ${over}`, async (t) => {
    const { clock, client, connection, websockets, another } = await open(t, httpVersion)
    let closed = 0
    connection.listen({ answered: () => {}, drained: () => {}, closed: () => closed++ })
    client.websocket.pause()
    clock.advance(IDLE_TIMEOUT_MS - 1)
    assert.equal(connection.isOpen, true)
    const fresh = await another()
    clock.advance(1)
    await until(() => closed === 1, 'the end of the socket')
    assert.deepEqual([connection.isOpen, fresh.connection.isOpen, websockets.size], [false, true, 1])
  })

  test(`a wall clock that jumps by a day neither ends a socket nor keeps a dead one (case X1) ${over}`, async (t) => {
    const { clock, client, connection } = await open(t, httpVersion)
    clock.set(clock.nowMs() + 86_400_000)
    clock.advance(IDLE_TIMEOUT_MS / 2 - 1)
    assert.equal((await client.ask('GET', '/none')).status, 204)
    assert.equal(connection.isOpen, true)
    client.websocket.pause()
    clock.set(clock.nowMs() - 2 * 86_400_000)
    clock.advance(IDLE_TIMEOUT_MS + 15_000)
    await until(() => !connection.isOpen, 'the end of the socket')
    assert.equal(connection.isOpen, false)
  })

  test(`whatever a client says keeps its socket ${over}`, async (t) => {
    const { clock, client, connection } = await open(t, httpVersion)
    for (let count = 0; count < 4; count++) {
      clock.advance(IDLE_TIMEOUT_MS / 2 - 1)
      const before = connection.lastHeardMs
      if (count % 2 === 0) assert.equal((await client.ask('GET', '/none')).status, 204)
      else client.websocket.ping()
      await until(() => connection.lastHeardMs > before, 'the server to hear')
    }
    assert.equal(connection.isOpen, true)
  })

  test(`a client that asks faster than it is answered is not read for a while ${over}`, async (t) => {
    const { gate, client, connection, another } = await open(t, httpVersion)
    const body = Buffer.alloc(8 * 1024, 1)
    const count = 2_000
    for (let id = 1; id <= count; id++)
      client.websocket.send(encodeRequest({ verb: 'POST', path: '/slow', headers: [], body, id }))
    await until(() => internals(connection).websocket.isPaused, 'the socket to be paused')
    const fresh = await another()
    assert.equal((await fresh.client.ask('GET', '/none')).status, 204)
    assert.ok(gate.waiting > 512 && gate.waiting < 1_000, `${gate.waiting} requests in progress`)
    gate.open()
    await client.responses.size(count)
    const ids = client.responses.all.map(({ id }) => Number(id)).sort((a, b) => a - b)
    assert.deepEqual(
      ids,
      Array.from({ length: count }, (_, index) => index + 1),
    )
    assert.equal(internals(connection).websocket.isPaused, false)
  })

  test(`a client that does not take its answers is not read, and its owner is told when it does ${over}`, async (t) => {
    const { client, connection } = await open(t, httpVersion)
    let drained = 0
    connection.listen({ answered: () => {}, drained: () => drained++, closed: () => {} })
    client.websocket.pause()
    let sent = 0
    while (!connection.congested && sent < 200) {
      connection.request('PUT', '/x', [], MEGABYTE)
      sent++
      await setImmediate()
    }
    assert.equal(connection.congested, true)
    const asked = client.ask('GET', '/none')
    await until(() => internals(connection).websocket.isPaused || drained > 0, 'the socket to be paused')
    assert.equal(drained, 0)
    client.websocket.resume()
    assert.equal((await asked).status, 204)
    await client.requests.size(sent)
    await until(() => drained > 0, 'the owner to be told')
    assert.equal(connection.congested, false)
    assert.equal(drained, 1)
  })

  test(`what is said in one turn leaves in one piece, in its order ${over}`, async (t) => {
    const { client, connection } = await open(t, httpVersion)
    const before = internals(connection).stream.writableLength
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 3, 0, 200_000, 1]
    const ids = sizes.map((size, index) =>
      connection.request('PUT', `/${index}`, [`a:${index}`], MEGABYTE.subarray(0, size)),
    )
    assert.ok(internals(connection).stream.writableLength - before > 200_000)
    await client.requests.size(sizes.length)
    assert.deepEqual(
      client.requests.all.map(({ id, path, headers, body }) => ({ id, path, headers, size: body.length })),
      sizes.map((size, index) => ({ id: ids[index], path: `/${index}`, headers: [`a:${index}`], size })),
    )
  })

  test(`an id comes back with all its 64 bits ${over}`, async (t) => {
    const { client } = await open(t, httpVersion)
    const ids = [0, 1, 2 ** 53 - 1, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]
    for (const id of ids)
      client.websocket.send(encodeRequest({ verb: 'GET', path: '/none', headers: [], body: NO_BODY, id }))
    await client.responses.size(ids.length)
    assert.deepEqual(
      client.responses.all.map(({ id }) => id),
      ids,
    )
  })

  test(`an answer has its status, its phrase and its headers ${over}`, async (t) => {
    const { clock, client } = await open(t, httpVersion)
    const timestamp = `X-Signal-Timestamp:${clock.nowMs()}`
    const none = await client.ask('GET', '/none')
    assert.deepEqual(
      [none.status, none.message, none.headers],
      [204, 'No Content', [timestamp, 'Content-Length:0']],
    )
    const echo = await client.ask('POST', '/echo', [], Buffer.from('hello'))
    const type = 'Content-Type:application/octet-stream'
    assert.deepEqual([echo.status, echo.message], [200, 'OK'])
    assert.deepEqual(echo.headers, [timestamp, type, 'Content-Length:5'])
    assert.equal(Buffer.from(echo.body).toString(), 'hello')
    const wrong = await client.ask('GET', '/echo')
    assert.deepEqual([wrong.status, wrong.message], [405, 'Method Not Allowed'])
    assert.ok(wrong.headers.includes('Allow:POST'))
  })

  test(`a request inherits what the upgrade said, but not all ${over}`, async (t) => {
    const upgrade = { 'x-colour': 'red', 'user-agent': 'Signal-Test/1', 'x-forwarded-for': '192.0.2.1' }
    const { client } = await open(t, httpVersion, upgrade)
    const ask = async (...headers: string[]) =>
      JSON.parse(Buffer.from((await client.ask('GET', '/headers', headers)).body).toString())
    const inherited = { 'x-colour': 'red', userAgent: 'Signal-Test/1', 'x-forwarded-for': '192.0.2.1' }
    assert.deepEqual(await ask(), inherited)
    assert.deepEqual(await ask(' X-Colour : blue: green ', 'no colon', ':empty'), {
      ...inherited,
      'x-colour': 'blue: green',
    })
    const inner = await ask('User-Agent:Other/1', 'X-Forwarded-For:198.51.100.1', 'Authorization:Basic x')
    assert.deepEqual(inner, { ...inherited, authorization: 'Basic x' })
  })
}

test('an agent that the upgrade did not name may be named inside', async (t) => {
  const { client } = await open(t, 2)
  const { body } = await client.ask('GET', '/headers', ['User-Agent:Inner/1'])
  assert.deepEqual(JSON.parse(Buffer.from(body).toString()), { userAgent: 'Inner/1' })
})
