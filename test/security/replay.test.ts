// M7: what is asked twice, or answered twice, or whose answer was lost, does no harm.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { encodeRequest, encodeResponse } from '../../wire/websocket.ts'
import { authorizationOf, basic, Https } from '../client/https.ts'
import { HTTP_VERSIONS, type HttpVersion } from '../client/net.ts'
import { MESSAGE, openQueue, QUEUE_EMPTY } from '../client/queue.ts'
import { messageFor } from '../client/raw-message.ts'
import { RawSocket } from '../client/raw-socket.ts'
import { newNumber, type Registered, register } from '../client/register.ts'
import { registrationBody } from '../client/registration-body.ts'
import { Constellation } from '../constellation.ts'
import { within } from '../within.ts'

let server: Constellation
before(async () => {
  server = await Constellation.open()
})
after(() => server.close())

const NOTHING = Buffer.alloc(0)
const noMessages = { 'x-signal-disable-messages': 'true' }

async function sendTo(https: Https, from: Registered, to: Registered): Promise<void> {
  const path = `/v1/messages/${to.aci.getServiceIdString()}`
  const reply = await https.call('PUT', path, { headers: authorizationOf(from), json: messageFor(to) })
  assert.equal(reply.status, 200)
}

for (const httpVersion of HTTP_VERSIONS) {
  test(`M7: two requests with one id are two requests, each answered under that id (HTTP/${httpVersion})`, async () => {
    const [ada, bob] = await Promise.all([register(server), register(server)])
    const headers = { ...authorizationOf(ada), ...noMessages }
    await using socket = await RawSocket.open(server.ready, httpVersion, { headers })
    await using queue = await openQueue(server, bob, httpVersion)
    const body = Buffer.from(JSON.stringify(messageFor(bob)))
    const path = `/v1/messages/${bob.aci.getServiceIdString()}`
    const frame = encodeRequest({
      verb: 'PUT',
      path,
      headers: ['content-type:application/json'],
      body,
      id: 77,
    })
    socket.websocket.send(frame)
    socket.websocket.send(frame)
    const answers = [await socket.responses.next(), await socket.responses.next()]
    assert.deepEqual(
      answers.map(({ id, status }) => [id, status]),
      [
        [77, 200],
        [77, 200],
      ],
    )
    const arrived = []
    while (arrived.length < 2) {
      const request = await queue.requests.next()
      if (request.path === MESSAGE) arrived.push(request.id)
      queue.answer(request, 200)
    }
    assert.notEqual(arrived[0], arrived[1])
  })

  test(`M7: an answer that comes twice, or to nothing, acknowledges no other message (HTTP/${httpVersion})`, async () => {
    const https = Https.open(server.ready, httpVersion)
    const [ada, bob] = await Promise.all([register(server), register(server)])
    const queue = await openQueue(server, bob, httpVersion)
    const empty = await queue.requests.next()
    assert.equal(empty.path, QUEUE_EMPTY)
    // Ids that were not given yet, ids of 64 bits, and no id at all.
    for (const id of [2, 3, 2n ** 63n, undefined])
      queue.websocket.send(encodeResponse({ id, status: 200, message: 'OK', headers: [], body: NOTHING }))
    await sendTo(https, ada, bob)
    await sendTo(https, ada, bob)
    const first = await queue.requests.next()
    const second = await queue.requests.next()
    for (let time = 0; time < 5; time++) queue.answer(first, 200)
    // An answer to a later call comes back when those before it were heard.
    assert.equal((await queue.ask('GET', '/v1/keepalive')).status, 200)
    await queue.close()
    assert.deepEqual(await waitingFor(bob, httpVersion, first.body), [second.body])
    await https[Symbol.asyncDispose]()
  })
}

/** What is in a queue when what was acknowledged has left it, which takes a moment. */
async function waitingFor(
  owner: Registered,
  httpVersion: HttpVersion,
  gone: Uint8Array,
): Promise<Uint8Array[]> {
  const look = async () => {
    for (;;) {
      await using queue = await openQueue(server, owner, httpVersion)
      const bodies = []
      for (
        let next = await queue.requests.next();
        next.path === MESSAGE;
        next = await queue.requests.next()
      ) {
        bodies.push(next.body)
        queue.answer(next, Buffer.compare(next.body, gone) === 0 ? 200 : 500)
        // Whatever is refused freezes the queue: it is the last that can be seen.
        if (Buffer.compare(next.body, gone) !== 0) break
      }
      if (!bodies.some((body) => Buffer.compare(body, gone) === 0)) return bodies
    }
  }
  return within(look(), 'an acknowledged message to be gone', 5_000)
}

/** A session that proved the number. */
async function provenSession(https: Https, number: string): Promise<string> {
  const opened = await https.call('POST', '/v1/verification/session', { json: { number } })
  const path = `/v1/verification/session/${opened.json.id}/code`
  await https.call('POST', path, { json: { transport: 'sms', client: 'test' } })
  const { json } = await https.call('PUT', path, { json: { code: await server.codeFor(number) } })
  assert.equal(json.verified, true)
  return opened.json.id
}

test('M7: a registration whose answer was lost is one account, however it is tried again', async () => {
  await using https = Https.open(server.ready, 1)
  for (let round = 0; round < 8; round++) {
    const number = newNumber()
    const headers = { authorization: basic(number, 'a long password') }
    const json = registrationBody(await provenSession(https, number))
    const lost = Https.open(server.ready, 2)
    const asked = lost.call('POST', '/v1/registration', { headers, json }).catch(() => undefined)
    if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
    else await asked
    await lost[Symbol.asyncDispose]()
    await asked
    const retried = await https.call('POST', '/v1/registration', { headers, json })
    // The session is used up by whichever of them was first.
    assert.ok(retried.status === 200 || retried.status === 401, `${retried.status}`)
    const again = registrationBody(await provenSession(https, number))
    const registered = await https.call('POST', '/v1/registration', { headers, json: again })
    assert.deepEqual([registered.status, registered.json.reregistration], [200, true])
    if (retried.status === 200) assert.equal(retried.json.uuid, registered.json.uuid)
    const whoami = await https.call('GET', '/v1/accounts/whoami', {
      headers: { authorization: basic(registered.json.uuid, 'a long password') },
    })
    assert.deepEqual([whoami.status, whoami.json.number], [200, number])
  }
})
