import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createPort, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { listenOnLoopback } from '../../test/loopback.ts'
import { makeCertificates } from '../../test/loopback-certificates.ts'
import { ask, NoAnswer, retryAfterSeconds } from './outgoing.ts'

const post = (url: string, more: { timeoutMs?: number; ca?: string } = {}) =>
  ask({ method: 'POST', url, headers: { 'X-A': 'b' }, body: 'héllo', timeoutMs: 5000, ...more })

/** Of a request without an answer: its name, and whether it may have arrived. */
const silence = (asked: Promise<unknown>) =>
  asked.then(
    () => assert.fail('an answer came'),
    (error) => {
      assert.ok(error instanceof NoAnswer)
      return [error.code, error.mayHaveArrived]
    },
  )

async function openPort(t: TestContext, onSocket: (socket: Socket) => void) {
  const sockets: Socket[] = []
  const { url, close } = await listenOnLoopback(
    createPort((socket) => {
      sockets.push(socket)
      socket.on('error', () => {})
      onSocket(socket)
    }),
  )
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await close()
  })
  return url
}

test('an answer comes with its status, headers and text', async (t) => {
  const server = createServer((request, response) => {
    response.writeHead(418, { 'X-Seen': request.headers['x-a'] as string, Connection: 'close' })
    request.pipe(response)
  })
  const { url, close } = await listenOnLoopback(server)
  t.after(close)
  const { status, headers, body } = await post(url)
  assert.deepEqual([status, headers['x-seen'], body], [418, 'b', 'héllo'])
})

test('a long answer is read as far as 64 KiB', async (t) => {
  const server = createServer((_, response) => {
    const more = () =>
      void (response.write('x'.repeat(50_000)) ? setImmediate(more) : response.once('drain', more))
    more()
  })
  const { url, close } = await listenOnLoopback(server)
  t.after(close)
  assert.equal((await post(url)).body.length, 65_536)
})

test('nothing arrived where nobody listens', async () => {
  const { url, close } = await listenOnLoopback(createPort())
  await close()
  assert.deepEqual(await silence(post(url)), ['ECONNREFUSED', false])
  assert.deepEqual(await silence(post('http://nowhere.invalid')), ['ENOTFOUND', false])
})

test('a server that is silent, or ends, after it was reached may have got the request', async (t) => {
  const silent = await openPort(t, () => {})
  assert.deepEqual(await silence(post(silent, { timeoutMs: 50 })), ['TIMEOUT', true])
  const rude = await openPort(t, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  assert.deepEqual(await silence(post(rude)), ['ECONNRESET', true])
  const half = await openPort(t, (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'),
  )
  assert.deepEqual(await silence(post(half, { timeoutMs: 100 })), ['TIMEOUT', true])
})

test('a server whose certificate nobody vouches for gets nothing', async (t) => {
  const { cert, key, ca } = await makeCertificates(t)
  const server = createSecureServer({ cert, key }, (_, response) => response.end('secret'))
  const { port, close } = await listenOnLoopback(server)
  t.after(close)
  const [code, mayHaveArrived] = await silence(post(`https://localhost:${port}`))
  assert.match(String(code), /^[A-Z_]+$/)
  assert.equal(mayHaveArrived, false)
  assert.equal((await post(`https://localhost:${port}`, { ca })).body, 'secret')
})

test('seconds to wait are read, a date is not', () => {
  const headers = ['7', '0', undefined, '', '-1', '1.5', 'Wed, 21 Oct 2026 07:28:00 GMT', '9999999']
  assert.deepEqual(headers.map(retryAfterSeconds), [7, 0, ...Array(6).fill(undefined)])
})
