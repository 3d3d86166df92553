// W2: bodies that are streamed. Who sends or takes nothing is cut off; who goes away is noticed; who is refused is told.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { ClientGone, type StreamHandler } from '../../server/kit/streaming.ts'
import { within } from '../within.ts'
import { type BareDoors, openBareDoors } from './bare-doors.ts'
import { RawClient } from './raw-bytes.ts'

const timeouts = { handshakeMs: 2_000, headersMs: 2_000, requestMs: 300, idleMs: 5_000 }

let bare: BareDoors
/** How the reading of each body has ended. */
const ends: ((error: unknown) => void)[] = []
const nextEnd = () => new Promise<unknown>((resolve) => ends.push(resolve))
/** The body that is being sent. */
let sending: Readable | undefined

const streams: StreamHandler = ({ method, target, body }) => {
  if (target === '/refuse') return Promise.resolve({ status: 403, headers: { 'Content-Length': '0' } })
  if (target === '/endless') {
    const endless = new Readable({ read: () => endless.push(Buffer.alloc(65_536)) })
    sending = endless
    return Promise.resolve({ status: 200, headers: {}, body: endless })
  }
  if (target !== '/count' || method !== 'PUT') return undefined
  const count = async () => {
    let bytes = 0
    try {
      for await (const chunk of body) bytes += chunk.length
    } catch (error) {
      ends.shift()?.(error)
      return { status: 400, headers: { 'Content-Length': '0' } }
    }
    ends.shift()?.(undefined)
    return { status: 200, headers: { 'Content-Length': '0', 'X-Count': String(bytes) } }
  }
  return count()
}

before(async () => {
  bare = await openBareDoors({ timeouts, streams })
})
after(() => bare[Symbol.asyncDispose]())

const put1 = (client: RawClient, path: string, length: number) =>
  client.socket.write(`PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`)
function put2(path: string) {
  const session = connectHttp2(bare.url, { ca: bare.ca })
  const stream = session.request({ ':method': 'PUT', ':path': path }, { endStream: false })
  stream.on('error', () => {}) // the tests break it on purpose
  return { session, stream }
}

test('W2: a body of which nothing more comes is given up, and its reader is told (HTTP/1.1)', async () => {
  const client = await RawClient.open(bare, 'http/1.1')
  const ended = nextEnd()
  put1(client, '/count', 1000)
  client.socket.write('some')
  assert.ok((await within(ended, 'the end')) instanceof ClientGone)
  await client.untilClosed(3_000)
  assert.ok(!client.isOpen)
})

test('W2: a body of which nothing more comes is given up, and its reader is told (HTTP/2)', async () => {
  const { session, stream } = put2('/count')
  const ended = nextEnd()
  stream.write('some')
  assert.ok((await within(ended, 'the end')) instanceof ClientGone)
  session.destroy()
})

test('a body that is cut off is no body that has ended, also where the connection is gone (HTTP/2)', async () => {
  const { session, stream } = put2('/count')
  const ended = nextEnd()
  session.on('error', () => {}) // it is cut here
  stream.write('some', () => session.socket.destroy())
  assert.ok((await within(ended, 'the end')) instanceof ClientGone)
})

test('a body that takes longer than a request may is read on for as long as something comes', async () => {
  const { session, stream } = put2('/count')
  const told = once(stream, 'response')
  const pieces = 8
  for (let piece = 0; piece < pieces; piece++) {
    stream.write('piece')
    await new Promise((resolve) => setTimeout(resolve, 80))
  }
  stream.end()
  const [head] = await within(told, 'an answer')
  assert.deepEqual([head[':status'], head['x-count']], [200, String(pieces * 5)])
  session.destroy()
})

test('W2: a client that takes nothing of a body is cut off, and the body is closed', async () => {
  const session = connectHttp2(bare.url, { ca: bare.ca })
  const stream = session.request({ ':method': 'GET', ':path': '/endless' })
  stream.on('error', () => {}) // it is cut off
  await once(stream, 'response')
  const closed = new Promise<void>((resolve) => sending!.on('close', () => resolve()))
  await within(closed, 'the end of what is sent')
  assert.ok(sending!.destroyed)
  session.destroy()
})

test('who is refused before a long body was read is told so, and the connection is not read on (HTTP/1.1)', async () => {
  const client = await RawClient.open(bare, 'http/1.1')
  put1(client, '/refuse', 100_000_000)
  await client.untilClosed(3_000)
  assert.match(client.heard.toString('latin1'), /^HTTP\/1\.1 403 .*Connection: close/s)
})
