import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BusEvent, MemoryBus } from './bus.ts'

const listenTo = (bus: MemoryBus, channel: string, said: string[], name: string) =>
  bus.subscribe(channel, ({ type }: BusEvent) => said.push(`${name} ${type}`))

test('every listener of a channel hears of an event, in the order of their coming', () => {
  const bus = new MemoryBus()
  const said: string[] = []
  for (const name of ['a', 'b', 'c']) listenTo(bus, 'one', said, name)
  listenTo(bus, 'other', said, 'x')
  assert.equal(bus.publish('one', { type: 'first' }), 3)
  assert.equal(bus.publish('one', { type: 'second' }), 3)
  assert.deepEqual(said, ['a first', 'b first', 'c first', 'a second', 'b second', 'c second'])
  assert.equal(bus.publish('nobody', { type: 'first' }), 0)
})

test('an event carries its value as it is', () => {
  const bus = new MemoryBus()
  const local = { seq: 1 }
  let heard: unknown
  bus.subscribe('one', (event) => {
    heard = event.local
  })
  bus.publish('one', { type: 'first', local })
  assert.equal(heard, local)
})

test('whoever cancelled hears nothing more, and the others do', () => {
  const bus = new MemoryBus()
  const said: string[] = []
  const a = listenTo(bus, 'one', said, 'a')
  const b = listenTo(bus, 'one', said, 'b')
  a.cancel()
  a.cancel()
  assert.equal(bus.publish('one', { type: 'first' }), 1)
  b.cancel()
  assert.equal(bus.publish('one', { type: 'second' }), 0)
  assert.deepEqual(said, ['b first'])
})

test('a listener may come and go while an event is told', () => {
  const bus = new MemoryBus()
  const said: string[] = []
  const a = bus.subscribe('one', ({ type }) => {
    said.push(`a ${type}`)
    a.cancel()
    listenTo(bus, 'one', said, 'c')
  })
  listenTo(bus, 'one', said, 'b')
  bus.publish('one', { type: 'first' })
  assert.deepEqual(said, ['a first', 'b first'])
  bus.publish('one', { type: 'second' })
  assert.deepEqual(said, ['a first', 'b first', 'b second', 'c second'])
})
