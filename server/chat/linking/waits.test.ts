import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Asker } from '../../../wire/route.ts'
import { MemoryBus } from '../../kit/bus.ts'
import { ManualClock, type Timer } from '../../kit/clock.ts'
import { Waits } from './waits.ts'

/** Knows how many of its timers were neither cancelled nor are over. */
class CountingClock extends ManualClock {
  pending = 0

  override after(ms: number, action: () => void): Timer {
    const count = this.#counted()
    const timer = super.after(ms, () => {
      count.end()
      action()
    })
    return both(count, timer)
  }

  override every(ms: number, action: () => void): Timer {
    const count = this.#counted()
    const timer = super.every(ms, action)
    return both(count, timer)
  }

  #counted() {
    this.pending++
    let over = false
    return {
      end: () => {
        if (!over) this.pending--
        over = true
      },
    }
  }
}

const both = (count: { end(): void }, timer: Timer): Timer => ({
  cancel() {
    count.end()
    timer.cancel()
  },
})

class Client implements Asker {
  readonly #tells = new Set<() => void>()
  isGone = false

  get listeners(): number {
    return this.#tells.size
  }

  onGone(tell: () => void) {
    if (this.isGone) tell()
    this.#tells.add(tell)
    return { cancel: () => void this.#tells.delete(tell) }
  }

  go(): void {
    this.isGone = true
    for (const tell of this.#tells) tell()
  }
}

function open(maxWaiting = 100) {
  const [bus, clock] = [new MemoryBus(), new CountingClock()]
  const waits = new Waits({ bus, clock, maxWaiting })
  const stored = new Map<string, string>()
  let looks = 0
  const look = (key: string) => async () => {
    looks++
    await setImmediate()
    return stored.get(key)
  }
  const wait = (key: string, asker: Asker = new Client(), everyMs?: number) =>
    waits.until({ key, timeoutMs: 1_000, asker, ...(everyMs && { everyMs }) }, look(key))
  const nothingLeft = (...clients: Client[]) => {
    assert.deepEqual([waits.size, clock.pending], [0, 0])
    assert.equal(bus.publish('wait:a', { type: 'arrived' }), 0)
    for (const client of clients) assert.equal(client.listeners, 0)
  }
  return { waits, clock, bus, stored, wait, nothingLeft, looks: () => looks }
}

/** Lets whoever was woken look. */
const settle = async () => {
  for (let turn = 0; turn < 4; turn++) await setImmediate()
}

test('what is there already is the answer at once', async () => {
  const { stored, wait, nothingLeft } = open()
  stored.set('a', 'here')
  assert.equal(await wait('a'), 'here')
  nothingLeft()
})

test('what arrives wakes whoever waits for it, and nobody else', async () => {
  const { waits, stored, wait, nothingLeft, looks } = open()
  const [client, other] = [new Client(), new Client()]
  const [one, two] = [wait('a', client), wait('b', other)]
  await settle()
  assert.equal(looks(), 2)
  stored.set('a', 'here')
  waits.arrived('a')
  assert.equal(await one, 'here')
  assert.equal(looks(), 3)
  other.go()
  assert.equal(await two, undefined)
  nothingLeft(client, other)
})

test('what arrives while one looks and does not find it is not missed', async () => {
  const { waits, stored, wait } = open()
  const waiting = wait('a')
  stored.set('a', 'here')
  waits.arrived('a')
  assert.equal(await waiting, 'here')
})

test('when the time is over the answer is nothing', async () => {
  const { clock, wait, nothingLeft } = open()
  const waiting = wait('a')
  await settle()
  clock.advance(999)
  await settle()
  let answered = false
  void waiting.then(() => {
    answered = true
  })
  await settle()
  assert.equal(answered, false)
  clock.advance(1)
  assert.equal(await waiting, undefined)
  nothingLeft()
})

test('a client that goes takes its wait with it, also one that was gone before', async () => {
  const { wait, nothingLeft } = open()
  const client = new Client()
  const waiting = wait('a', client)
  await settle()
  client.go()
  assert.equal(await waiting, undefined)
  assert.equal(await wait('a', client), undefined)
  nothingLeft(client)
})

test('a second wait for the same ends the first, and goes on itself', async () => {
  const { waits, stored, wait, nothingLeft } = open()
  const first = wait('a')
  await settle()
  const second = wait('a')
  assert.equal(await first, undefined)
  assert.equal(waits.size, 1)
  stored.set('a', 'here')
  waits.arrived('a')
  assert.equal(await second, 'here')
  nothingLeft()
})

test('when too many wait, the one that waits longest is answered', async () => {
  const { waits, wait, nothingLeft } = open(2)
  const [one, two] = [wait('a'), wait('b')]
  await settle()
  const three = wait('c')
  assert.equal(await one, undefined)
  assert.equal(waits.size, 2)
  waits.close()
  assert.deepEqual(await Promise.all([two, three]), [undefined, undefined])
  nothingLeft()
})

test('who looks again and again finds what nobody announced', async () => {
  const { clock, stored, wait, nothingLeft, looks } = open()
  const waiting = wait('a', new Client(), 100)
  await settle()
  stored.set('a', 'here')
  clock.advance(99)
  await settle()
  assert.equal(looks(), 1)
  clock.advance(1)
  assert.equal(await waiting, 'here')
  nothingLeft()
})

test('a server that stops answers everybody, and lets nobody wait any more', async () => {
  const { waits, stored, wait, nothingLeft } = open()
  const waiting = [wait('a'), wait('b'), wait('c')]
  await settle()
  waits.close()
  assert.deepEqual(await Promise.all(waiting), [undefined, undefined, undefined])
  assert.equal(await wait('a'), undefined)
  stored.set('a', 'here')
  assert.equal(await wait('a'), 'here')
  nothingLeft()
})

test('a look that fails fails the wait, and leaves nothing behind', async () => {
  const { waits, nothingLeft } = open()
  const client = new Client()
  const look = async () => {
    throw new Error('no disk')
  }
  await assert.rejects(waits.until({ key: 'a', timeoutMs: 1, asker: client }, look), /no disk/)
  nothingLeft(client)
})
