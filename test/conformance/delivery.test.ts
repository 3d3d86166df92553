// Receiving (signal-api §1.3.2, §2.11.2): the queue, acknowledgements, flow control, receipts.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { ManualClock } from '../../server/kit/clock.ts'
import { Envelope } from '../../wire/gen/envelope.js'
import type { RequestFrame } from '../../wire/websocket.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { MESSAGE, openQueue, QUEUE_EMPTY, untilNothingWaits } from '../client/queue.ts'
import { copyFor } from '../client/raw-message.ts'
import { RawSocket } from '../client/raw-socket.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { until } from '../within.ts'

const MAX_IN_FLIGHT = 256
const DAY_MS = 86_400_000
const UNLIMITED = { config: { limits: { messages: { bucket: 100_000 } } } }
let server: Constellation
before(async () => {
  server = await Constellation.open(UNLIMITED)
})
after(() => server.close())

/** The number that `sendNumbered` put into a message. */
const numberIn = (frame: RequestFrame): number =>
  Buffer.from(Envelope.decode(frame.body).content).readUInt32BE()

/** Sends messages that carry the numbers from `first` on, one after the other. */
async function sendNumbered(https: Https, from: Registered, to: Registered, first: number, count: number) {
  for (let number = first; number < first + count; number++) {
    const content = Buffer.alloc(4)
    content.writeUInt32BE(number)
    const messages = [{ ...copyFor(to), content: content.toString('base64') }]
    const path = `/v1/messages/${to.aci.getServiceIdString()}`
    const json = { messages, timestamp: 1_700_000_000_000 + number }
    const { status } = await https.call('PUT', path, { headers: authorizationOf(from), json })
    assert.equal(status, 200)
  }
}

/** Everything that the server sent before this was answered has come in. */
const fence = (socket: RawSocket) => socket.ask('GET', '/v1/keepalive')
const numbers = (frames: readonly RequestFrame[]) =>
  frames.filter(({ path }) => path === MESSAGE).map(numberIn)
const range = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

for (const httpVersion of HTTP_VERSIONS)
  describe(`delivery over HTTP/${httpVersion}`, () => {
    let https: Https
    let sender: Registered
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      sender = await register(server, { httpVersion })
    })
    after(() => https[Symbol.asyncDispose]())

    const newAccount = () => register(server, { httpVersion })
    const send = (to: Registered, first: number, count = 1) => sendNumbered(https, sender, to, first, count)
    const open = (device: Registered) => openQueue(server, device, httpVersion)
    /** Waits until so many of a sender's messages are gone: their receipts are written together with that. */
    const removed = async (from: Registered, count: number) => {
      await using receipts = await open(from)
      await receipts.requests.size(count)
    }
    /** Answers so many messages as they come, and gives their numbers. */
    const take = async (socket: RawSocket, count: number): Promise<number[]> => {
      const taken: number[] = []
      while (taken.length < count) {
        const frame = await socket.requests.next()
        assert.equal(frame.path, MESSAGE)
        socket.answer(frame, 200)
        taken.push(numberIn(frame))
      }
      return taken
    }

    test('messages come in the order in which they were sent, with the time of their delivery', async () => {
      const device = await newAccount()
      await send(device, 0, 120)
      await using socket = await open(device)
      assert.deepEqual(await take(socket, 120), range(0, 120))
      await send(device, 120, 5)
      const empty = await socket.requests.next()
      assert.equal(empty.path, QUEUE_EMPTY)
      assert.deepEqual(await take(socket, 5), range(120, 5))
      for (const { verb, headers } of socket.requests.all) {
        assert.equal(verb, 'PUT')
        assert.match(headers.join('\n'), /^X-Signal-Timestamp:\s?\d{13}$/)
      }
    })

    test('an empty queue is announced at once, and once', async () => {
      const device = await newAccount()
      await using socket = await open(device)
      assert.equal((await socket.requests.next()).path, QUEUE_EMPTY)
      await send(device, 1)
      await take(socket, 1)
      await fence(socket)
      assert.equal(socket.requests.all.filter(({ path }) => path === QUEUE_EMPTY).length, 1)
    })

    test('the end of the queue is announced when its last message was answered, not before', async () => {
      const device = await newAccount()
      await send(device, 0, 3)
      await using socket = await open(device)
      await socket.requests.size(3)
      const [first, second, third] = socket.requests.all
      socket.answer(third!, 200)
      socket.answer(first!, 200)
      await fence(socket)
      assert.equal(socket.requests.all.length, 3)
      socket.answer(second!, 200)
      await socket.requests.size(4)
      assert.equal(socket.requests.all[3]!.path, QUEUE_EMPTY)
    })

    test('a message that comes in meanwhile does not hold back the end of the queue', async () => {
      const device = await newAccount()
      await send(device, 0)
      await using socket = await open(device)
      const waiting = await socket.requests.next()
      await send(device, 1)
      assert.equal(numberIn(await socket.requests.next()), 1)
      socket.answer(waiting, 200)
      assert.equal((await socket.requests.next()).path, QUEUE_EMPTY)
    })

    test('a message that is not answered with success freezes the connection, and comes again on the next', async () => {
      const [device, from] = [await newAccount(), await newAccount()]
      await sendNumbered(https, from, device, 0, 3)
      {
        await using socket = await open(device)
        await socket.requests.size(3)
        const [first, second, third] = socket.requests.all
        socket.answer(first!, 500)
        socket.answer(second!, 200)
        await fence(socket)
        await sendNumbered(https, from, device, 3, 1)
        socket.answer(third!, 200)
        await removed(from, 2)
        await fence(socket)
        assert.deepEqual(numbers(socket.requests.all), [0, 1, 2])
        assert.equal(socket.requests.all.length, 3)
      }
      await using socket = await open(device)
      assert.deepEqual(await take(socket, 2), [0, 3])
      assert.equal((await socket.requests.next()).path, QUEUE_EMPTY)
    })

    test('what was handed over and not answered comes again; what was answered does not', async () => {
      const [device, from] = [await newAccount(), await newAccount()]
      await sendNumbered(https, from, device, 0, 4)
      {
        await using socket = await open(device)
        assert.deepEqual(await take(socket, 2), [0, 1])
        await socket.requests.size(4)
        await removed(from, 2)
      }
      await using socket = await open(device)
      assert.deepEqual(await take(socket, 2), [2, 3])
      assert.equal((await socket.requests.next()).path, QUEUE_EMPTY)
      await socket.close()
      await untilNothingWaits(server, device, httpVersion)
    })

    test('no more than 256 messages are in flight', async () => {
      const device = await newAccount()
      const count = MAX_IN_FLIGHT + 44
      await send(device, 0, count)
      await using socket = await open(device)
      await socket.requests.size(MAX_IN_FLIGHT)
      await fence(socket)
      assert.deepEqual(numbers(socket.requests.all), range(0, MAX_IN_FLIGHT))
      assert.equal(socket.requests.all.length, MAX_IN_FLIGHT)
      assert.deepEqual(await take(socket, count), range(0, count))
      assert.equal((await socket.requests.next()).path, QUEUE_EMPTY)
    })

    test('messages that come in while 256 are in flight follow in their order', async () => {
      const device = await newAccount()
      await using socket = await open(device)
      assert.equal((await socket.requests.next()).path, QUEUE_EMPTY)
      await send(device, 0, MAX_IN_FLIGHT + 20)
      await socket.requests.size(MAX_IN_FLIGHT + 1)
      await fence(socket)
      assert.equal(numbers(socket.requests.all).length, MAX_IN_FLIGHT)
      assert.deepEqual(await take(socket, MAX_IN_FLIGHT + 20), range(0, MAX_IN_FLIGHT + 20))
    })

    test('the newest connection of a device displaces the one before with 4409', async () => {
      const device = await newAccount()
      const first = await open(device)
      assert.equal((await first.requests.next()).path, QUEUE_EMPTY)
      await using second = await open(device)
      assert.deepEqual(await first.closed(), { code: 4409, reason: 'Connected elsewhere' })
      await send(device, 7)
      assert.equal((await second.requests.next()).path, QUEUE_EMPTY)
      assert.deepEqual(await take(second, 1), [7])
      await first.close()
    })

    test('libsignal is told that it is connected elsewhere', async () => {
      const account = await newAccount()
      const [one, two] = [0, 1].map(() => new SignalClient(server, account, httpVersion))
      await one!.connect()
      await two!.connect()
      assert.equal((await one!.link.interrupted())?.code, LS.ErrorCode.ConnectedElsewhere)
      assert.ok(two!.link.isOpen)
      await one!.disconnect()
      await two!.disconnect()
    })

    test('a socket without messages displaces nobody and gets none, but has to go with its device', async () => {
      const account = await newAccount()
      await using reader = await open(account)
      const headers = { ...authorizationOf(account), 'x-signal-disable-messages': 'true' }
      const quiet = await RawSocket.open(server.ready, httpVersion, { headers })
      await send(account, 1)
      assert.equal((await reader.requests.next()).path, QUEUE_EMPTY)
      assert.deepEqual(await take(reader, 1), [1])
      assert.equal((await quiet.ask('GET', '/v1/accounts/whoami')).status, 200)
      assert.deepEqual(quiet.requests.all, [])
      await register(server, { number: account.number, httpVersion })
      const goodbye = { code: 4401, reason: 'Reauthentication required' }
      assert.deepEqual(await quiet.closed(), goodbye)
      assert.deepEqual(await reader.closed(), goodbye)
      await quiet.close()
    })

    test('an ephemeral message reaches who is there, and is kept for nobody', async () => {
      await using ada = await SignalClient.create(server, { httpVersion })
      await using bob = await SignalClient.create(server, { httpVersion })
      await ada.sendText(bob, 'first, to have a session')
      await bob.messages.next()
      await bob.link.queueEmpty()
      await ada.sendText(bob, 'typing', { online: true })
      const { text, envelope } = await bob.messages.next()
      assert.deepEqual([text, envelope.ephemeral], ['typing', false])
      await bob.disconnect()
      await ada.sendText(bob, 'typing to nobody', { online: true })
      await untilNothingWaits(server, bob.account, httpVersion)
      await ada.sendText(bob, 'a real one')
      await bob.connect()
      assert.equal((await bob.messages.next()).text, 'a real one')
    })

    test('an ephemeral message is handed over behind the backlog', async () => {
      const device = await newAccount()
      await send(device, 0, MAX_IN_FLIGHT + 1)
      await using socket = await open(device)
      await socket.requests.size(MAX_IN_FLIGHT)
      await fence(socket)
      const path = `/v1/messages/${device.aci.getServiceIdString()}`
      const messages = [{ ...copyFor(device), content: Buffer.from([0, 0, 255, 255]).toString('base64') }]
      const headers = authorizationOf(sender)
      const sent = await https.call('PUT', path, { headers, json: { messages, online: true } })
      assert.equal(sent.status, 200)
      await take(socket, MAX_IN_FLIGHT + 1)
      const last = [await socket.requests.next(), await socket.requests.next()]
      assert.deepEqual(last.map(({ path }) => path).sort(), [MESSAGE, QUEUE_EMPTY])
      assert.deepEqual(numbers(last), [65_535])
    })

    test('the sender of an identified message gets a receipt from whom it addressed; of a sealed one, none', async () => {
      await using ada = await SignalClient.create(server, { httpVersion })
      await using bob = await SignalClient.create(server, { httpVersion })
      const sealed = await ada.sendText(bob, 'sealed', { sealed: true })
      const toAci = await ada.sendText(bob, 'to the account')
      const toPni = await ada.sendText(bob, 'to the number', { to: 'pni' })
      const receipts = [await ada.receipts.next(), await ada.receipts.next()]
      assert.deepEqual(
        receipts.map(({ from, timestampMs }) => [from, timestampMs]),
        [
          [bob.aci.getServiceIdString(), toAci],
          [bob.pni.getServiceIdString(), toPni],
        ],
      )
      for (const { envelope } of receipts) {
        assert.deepEqual(
          [envelope.type, envelope.urgent, envelope.content.length, envelope.sourceDevice],
          [5, false, 0, 1],
        )
        assert.equal(envelope.destinationServiceIdText, ada.aci.getServiceIdString())
        assert.ok(envelope.serverGuid.length === 16 && envelope.serverTimestamp > 0)
      }
      assert.ok(!ada.receipts.all.some(({ timestampMs }) => timestampMs === sealed))
    })

    test('a receipt waits for a sender that is away, and is itself not acknowledged to anybody', async () => {
      await using ada = await SignalClient.create(server, { httpVersion })
      await using bob = await SignalClient.create(server, { httpVersion })
      const sent = await ada.sendText(bob, 'hello')
      await ada.disconnect()
      await bob.messages.next()
      await bob.disconnect()
      await untilNothingWaits(server, bob.account, httpVersion)
      await ada.connect()
      // Her last socket may have brought it already, too late for an answer.
      await ada.link.queueEmpty()
      await ada.receipts.size(1)
      assert.equal(ada.receipts.all[0]!.timestampMs, sent)
      await ada.disconnect()
      await untilNothingWaits(server, ada.account, httpVersion)
      await untilNothingWaits(server, bob.account, httpVersion)
    })

    test('what a client acknowledged does not come again, however soon it comes back', async () => {
      await using ada = await SignalClient.create(server, { httpVersion })
      await using bob = await SignalClient.create(server, { httpVersion })
      for (const sealed of [true, false, true, false]) {
        await ada.sendText(bob, 'once', { sealed })
        await bob.messages.next()
        await bob.connect()
        await bob.link.queueEmpty()
      }
      assert.deepEqual(bob.duplicates.all, [])
    })

    test('a message that a client could not take stays, and a client that comes back gets it once', async () => {
      await using ada = await SignalClient.create(server, { httpVersion })
      await using bob = await SignalClient.create(server, { httpVersion })
      bob.answer = () => undefined
      await ada.sendText(bob, 'lost answer')
      await bob.messages.next()
      await bob.disconnect()
      bob.answer = () => 200
      await bob.connect()
      await bob.duplicates.next()
      await bob.link.queueEmpty()
      await bob.disconnect()
      await untilNothingWaits(server, bob.account, httpVersion)
      assert.equal(bob.messages.all.length, 1)
      assert.equal(bob.duplicates.all.length, 1)
    })
  })

test('messages wait for 30 days and no longer', async () => {
  const clock = new ManualClock(Date.now())
  await using strict = await Constellation.open({ clock })
  await using https = Https.open(strict.ready, 2)
  const [from, to] = [await register(strict), await register(strict)]
  await sendNumbered(https, from, to, 1, 1)
  clock.set(clock.nowMs() + 2 * DAY_MS)
  await sendNumbered(https, from, to, 2, 1)
  const first = async () => {
    await using socket = await openQueue(strict, to, 2)
    return numberIn(await socket.requests.next())
  }
  clock.set(clock.nowMs() + 27 * DAY_MS)
  clock.advance(3_600_000)
  assert.equal(await first(), 1)
  clock.set(clock.nowMs() + DAY_MS)
  clock.advance(3_600_000)
  await until('the old message to be gone', async () => (await first()) === 2)
})

test('messages survive a restart of the server, in their order', async () => {
  await using own = await Constellation.open(UNLIMITED)
  const [from, to] = [await register(own), await register(own)]
  {
    await using https = Https.open(own.ready, 1)
    await sendNumbered(https, from, to, 0, 10)
  }
  await own.restart()
  await using https = Https.open(own.ready, 1)
  await sendNumbered(https, from, to, 10, 10)
  await using socket = await openQueue(own, to, 1)
  await socket.requests.size(20)
  assert.deepEqual(numbers(socket.requests.all), range(0, 20))
})
