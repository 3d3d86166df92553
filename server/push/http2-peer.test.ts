import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Asked, ProviderStandIn, type Reply, standInFiles } from '../../test/push/provider-stand-in.ts'
import { ManualClock } from '../kit/clock.ts'
import { NoAnswer } from '../kit/outgoing.ts'
import { Http2Peer } from './http2-peer.ts'

class Echo extends ProviderStandIn {
  readonly taken: string[] = []

  protected take(asked: Asked): Reply {
    this.taken.push(this.tokenOf(asked))
    return { status: 200, body: this.tokenOf(asked) }
  }
  protected tokenOf({ body }: Asked): string {
    return body.toString()
  }
}

async function open(t: TestContext, options: { maxStreams?: number } = {}) {
  const clock = new ManualClock()
  const echo = new Echo(await standInFiles(), options)
  await echo.listen()
  const peer = new Http2Peer({ origin: echo.origin, clock, ca: echo.files.caPem })
  t.after(async () => {
    await peer.close()
    await echo.close()
  })
  const ask = async (body = 'a') => JSON.parse((await peer.ask({ path: '/', headers: {}, body })).body)
  const failed = (code: string, mayHaveArrived: boolean) => (error: unknown) => {
    assert.ok(error instanceof NoAnswer)
    assert.deepEqual([error.code, error.mayHaveArrived], [code, mayHaveArrived])
    return true
  }
  return { clock, echo, peer, ask, failed }
}

const names = (count: number) => Array.from({ length: count }, (_, index) => String(index))

test('many requests share one connection, as many at a time as the other side allows', async (t) => {
  const { echo, ask } = await open(t, { maxStreams: 7 })
  assert.deepEqual(await Promise.all(names(100).map(ask)), names(100))
  assert.equal(echo.connections, 1)
  assert.equal(echo.mostAtOnce, 7)
})

test('a refused stream is asked again at once, three times at most', async (t) => {
  const { echo, ask, failed } = await open(t)
  echo.faults.push('refused', 'refused')
  assert.equal(await ask('a'), 'a')
  assert.deepEqual(echo.taken, ['a'])
  echo.faults.push('refused', 'refused', 'refused')
  await assert.rejects(ask('b'), failed('RESET', false))
})

test('when a connection ends in the middle, what was not looked at goes to another, once', async (t) => {
  const { echo, ask } = await open(t)
  echo.faults.push(...names(10).map(() => undefined), 'leaving')
  assert.deepEqual(await Promise.all(names(40).map(ask)), names(40))
  assert.deepEqual(
    echo.taken.map(Number).sort((a, b) => a - b),
    names(40).map(Number),
  )
  assert.equal(echo.connections, 2)
})

test('when a connection fails, only what it says was not looked at goes to another', async (t) => {
  const { echo, ask, failed } = await open(t)
  await ask()
  echo.faults.push('silence', undefined, 'failing')
  const [silent, answered, unseen] = names(3).map(ask)
  const outcomes = Promise.allSettled([silent, answered])
  assert.equal(await unseen, '2')
  const [first] = await outcomes
  failed('RESET', true)(first!.status === 'rejected' && first.reason)
})

test('what may have arrived is not asked again', async (t) => {
  const { echo, ask, failed } = await open(t)
  for (const fault of ['reset', 'lost'] as const) {
    echo.faults.push(fault)
    await assert.rejects(ask(fault), failed('RESET', true))
  }
  assert.deepEqual(echo.taken, ['lost'])
  echo.faults.push('broken')
  await assert.rejects(ask('b'), (error: NoAnswer) => error.mayHaveArrived)
  assert.equal(await ask('c'), 'c')
  assert.equal(echo.connections, 2)
})

test('nobody there is told to all who wait', async (t) => {
  const { echo, ask, failed, peer } = await open(t)
  await echo.close()
  const asked = await Promise.allSettled(names(20).map(ask))
  for (const one of asked) failed('ECONNREFUSED', false)(one.status === 'rejected' && one.reason)
  await peer.close()
  await assert.rejects(ask(), failed('CLOSED', false))
})

test('silence ends after ten seconds, and gives its room back', async (t) => {
  const { clock, echo, ask, failed } = await open(t, { maxStreams: 1 })
  echo.faults.push('silence')
  const silent = ask('a')
  const behind = ask('b')
  while (echo.requests === 0) await new Promise(setImmediate)
  clock.advance(9_999)
  const last = ask('c')
  clock.advance(1)
  await assert.rejects(silent, failed('TIMEOUT', true))
  await assert.rejects(behind, failed('TIMEOUT', false))
  assert.equal(await last, 'c')
})

test('a host that takes connections and says nothing is given up', async (t) => {
  const clock = new ManualClock()
  const mute = createServer((socket) => socket.on('error', () => {}).resume())
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.after(() => mute.close())
  const { port } = mute.address() as { port: number }
  const peer = new Http2Peer({ origin: `https://localhost:${port}`, clock })
  const asked = peer.ask({ path: '/', headers: {}, body: '' })
  clock.advance(5_000)
  await assert.rejects(asked, { code: 'TIMEOUT', mayHaveArrived: false })
  await peer.close()
})

test('a certificate of nobody that is known is not talked to', async (t) => {
  const { echo, clock } = await open(t)
  const peer = new Http2Peer({ origin: echo.origin, clock })
  await assert.rejects(peer.ask({ path: '/', headers: {}, body: '' }), { mayHaveArrived: false })
  assert.equal(echo.requests, 0)
  await peer.close()
})

test('a connection that does not answer pings is left', async (t) => {
  const { clock, echo, ask } = await open(t)
  await ask()
  clock.advance(30_000)
  // The pong cannot have come: nothing was read meanwhile.
  clock.advance(10_000)
  await ask()
  assert.equal(echo.connections, 2)
})

test('closing lets what is under way have its answer', async (t) => {
  const { peer, ask } = await open(t)
  await ask()
  const asked = ask('b')
  await peer.close()
  assert.equal(await asked, 'b')
})
