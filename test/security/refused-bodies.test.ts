// Bodies that are refused before they were read: the answer comes, the connection goes on or ends, and nothing is kept.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect } from 'node:http2'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { ServerProcess } from '../server-process.ts'
import { within } from '../within.ts'

/** More than either window of HTTP/2 takes: the client has to be told to stop. */
const BODY = Buffer.alloc(600_000, 1)
const FRESH_CONNECTIONS = 8
/** More than there may be streams at a time. */
const REFUSALS = 150

type Refused = { method: string; path: string; headers: Record<string, string>; status: number }
const FORM = { 'content-type': 'multipart/form-data; boundary=x' }
const JSON_TYPE = { 'content-type': 'application/json' }
const ACI = '9d0652a3-dcc3-4d11-975f-74d61598733f'
const REFUSED: readonly Refused[] = [
  { method: 'POST', path: '/cdn3/upload/attachments', headers: {}, status: 401 },
  { method: 'PATCH', path: '/cdn3/upload/attachments/abcdefgh', headers: {}, status: 401 },
  { method: 'POST', path: '/cdn2/attachments/abcdefgh', headers: {}, status: 403 },
  { method: 'PUT', path: '/cdn2/attachments/abcdefgh', headers: {}, status: 403 },
  { method: 'PUT', path: '/plain/abcdefgh?e=1&l=1&s=x', headers: {}, status: 403 },
  { method: 'POST', path: '/cdn0/', headers: FORM, status: 400 },
  { method: 'POST', path: '/cdn0/', headers: {}, status: 400 },
  { method: 'PUT', path: `/v1/messages/${ACI}`, headers: JSON_TYPE, status: 413 },
  { method: 'PUT', path: '/v2/keys', headers: JSON_TYPE, status: 413 },
  { method: 'POST', path: '/nowhere', headers: {}, status: 413 },
]

let server: ServerProcess
let ca: Buffer
before(async () => {
  server = await ServerProcess.start()
  ca = readFileSync(server.ready.tls.caPem)
})
after(() => server.close())

/** Node's client counts what it could not send any more as its own memory, for as long as a connection lasts. */
const CLIENT_MB = 1000

function open(): ClientHttp2Session {
  const session = connect(server.ready.urls.chat, { ca, maxSessionMemory: CLIENT_MB })
  session.on('error', () => {}) // its streams and its end tell
  return session
}

/** Sends all of the body, as far as it is let, and gives the status when the stream has ended. */
async function refusal(session: ClientHttp2Session, { method, path, headers }: Refused): Promise<number> {
  const stream = session.request({ ':method': method, ':path': path, ...headers })
  stream.on('error', () => {}) // what could not be sent any more
  const told = once(stream, 'response')
  stream.end(BODY)
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const closed = once(stream, 'close')
  const [head] = await within(told, `the answer to ${method} ${path}`, 5000)
  await within(closed, `the end of ${method} ${path}`, 5000)
  assert.equal(bytes, Number(head['content-length'] ?? 0), 'the answer came whole')
  return head[':status']
}

test('a refused body on a fresh HTTP/2 connection is answered at once, and the connection ends when its client ends it', async () => {
  const one = async (refused: Refused) => {
    const session = open()
    assert.equal(await refusal(session, refused), refused.status, `${refused.method} ${refused.path}`)
    const closed = once(session, 'close')
    session.close()
    await within(closed, `the connection of ${refused.method} ${refused.path} to end`, 5000)
  }
  for (let round = 0; round < FRESH_CONNECTIONS; round++) await Promise.all(REFUSED.map(one))
})

test('a connection on which many bodies were refused serves on: none is kept, and none counts as a stream', async () => {
  const session = open()
  for (const refused of REFUSED)
    for (let count = 0; count < REFUSALS; count++)
      assert.equal(await refusal(session, refused), refused.status, `${refused.path} for the ${count}th time`)
  const closed = once(session, 'close')
  session.close()
  await within(closed, 'the connection to end', 5000)
})

test('a refused body over HTTP/1.1 is answered too, whether its length was said or not', async () => {
  const one = ({ method, path, headers, status }: Refused, length: Record<string, string>) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sent = request(`${server.ready.urls.chat}${path}`, {
      ...{ method, ca, agent: false },
      headers: { ...headers, ...length },
    })
    sent.on('response', (response) => {
      response.resume().on('end', () => {
        if (response.statusCode === status) resolve()
        else reject(new Error(`${method} ${path}: ${response.statusCode}`))
      })
    })
    sent.on('error', reject)
    sent.end(BODY)
    return within(promise, `the answer to ${method} ${path}`, 5000).finally(() => sent.destroy())
  }
  for (const refused of REFUSED)
    for (const length of [{ 'content-length': String(BODY.length) }, { 'transfer-encoding': 'chunked' }])
      await one(refused, length)
})

const LARGE = Buffer.alloc(5_000_000, 1)
const PLAIN = '/plain/abcdefgh?e=1&l=1&s=x'

test('who sends five megabytes that are refused hears so, over HTTP/1.1 too', async () => {
  const statuses: unknown[] = []
  for (let count = 0; count < 40; count++) {
    const sent = request(`${server.ready.urls.chat}${PLAIN}`, {
      ...{ method: 'PUT', ca, agent: false },
      headers: { 'content-length': String(LARGE.length) },
    })
    const told = once(sent, 'response').then(([response]) => response.resume().statusCode)
    sent.end(LARGE)
    statuses.push(await within(told.catch(String), 'the answer', 5000))
    sent.on('error', () => {}).destroy()
  }
  assert.deepEqual(new Set(statuses), new Set([403]))
})

test('who is refused and goes on sending is read a little, and cut off', async () => {
  const socket = connectTls(server.port, 'localhost', { ca })
  socket.on('error', () => {}) // the cut
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
  socket.write(`PUT ${PLAIN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n`)
  const piece = Buffer.alloc(100_000)
  const send = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on('drain', send)
  send()
  assert.match(await within(answered, 'the answer'), /^HTTP\/1\.1 403 .*Connection: close/s)
  await within(closed, 'the cut', 6000)
  assert.ok(socket.bytesWritten < 20_000_000, `${socket.bytesWritten} bytes were taken`)
})
