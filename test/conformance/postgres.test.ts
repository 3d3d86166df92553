import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { sharedPostgres } from '../postgres.ts'

test('the platform does its main job on PostgreSQL: register, talk, be away, read what waited', async (t) => {
  const cluster = await sharedPostgres()
  if (!cluster) return t.skip('PostgreSQL is not installed')
  const storage = { engine: 'postgres', url: await cluster.freshDatabase() }
  await using server = await Constellation.open({ config: { storage } })
  await using ada = await SignalClient.create(server, { httpVersion: 2 })
  await using bob = await SignalClient.create(server, { httpVersion: 1 })
  await ada.sendText(bob, 'hello')
  assert.equal((await bob.messages.next()).text, 'hello')
  await bob.sendText(ada, 'and to you', { sealed: true })
  assert.equal((await ada.messages.next()).text, 'and to you')
  await bob.disconnect()
  const waited = Array.from({ length: 120 }, (_, index) => `while you were away ${index}`)
  for (const text of waited.slice(0, 50)) await ada.sendText(bob, text)
  for (const text of waited.slice(50)) await ada.sendText(bob, text, { sealed: true })
  await bob.connect()
  const read: string[] = []
  while (read.length < waited.length) read.push((await bob.messages.next()).text)
  assert.deepEqual(read, waited)
})
