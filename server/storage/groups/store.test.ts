import assert from 'node:assert/strict'
import { join } from 'node:path'
import { forEachEngine } from '../../../test/engines.ts'
import { migrate } from '../../kit/sql/migrate.ts'
import { GroupStore, type StoredVersion } from './store.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const GROUP = bytes('one')
const OTHER = bytes('other')
const ALL = { from: 0, to: 99, stateBeyondEpoch: -1, statesAt: [] }

const at = (version: number, who = 'somebody', changeEpoch = 0): StoredVersion => ({
  version,
  change: bytes(`change ${version} by ${who}`),
  changeEpoch,
  state: bytes(`state ${version} by ${who}`),
})

function forEachStore(name: string, run: (store: GroupStore) => Promise<void>): void {
  forEachEngine(name, async (open) => {
    const sql = await open()
    await migrate(sql, 'storage', join(import.meta.dirname, '../migrations'), 0)
    await run(new GroupStore(sql))
  })
}

const text = (found: Uint8Array | undefined) => found && Buffer.from(found).toString()

forEachStore('a group is created once, and the first stays', async (store) => {
  const tries = ['ada', 'bob', 'cyd'].map((who) => store.create(GROUP, at(0, who)))
  assert.deepEqual(await Promise.all(tries), [true, false, false])
  assert.equal(text(await store.find(GROUP)), 'state 0 by ada')
  assert.deepEqual(
    (await store.log(GROUP, ALL)).map(({ change }) => text(change)),
    ['change 0 by ada'],
  )
  assert.equal(await store.find(OTHER), undefined)
})

forEachStore('of many who write the next version one does, and leaves the only trace', async (store) => {
  await store.create(GROUP, at(0))
  const writers = Array.from({ length: 20 }, (_, number) => `writer ${number}`)
  const won = await Promise.all(writers.map((who) => store.change(GROUP, at(1, who))))
  assert.equal(won.filter(Boolean).length, 1)
  const winner = writers[won.indexOf(true)]
  assert.equal(text(await store.find(GROUP)), `state 1 by ${winner}`)
  const logged = (await store.log(GROUP, ALL)).map(({ change }) => text(change))
  assert.deepEqual(logged, ['change 0 by somebody', `change 1 by ${winner}`])
})

forEachStore('a version that is not the next one is not written', async (store) => {
  assert.equal(await store.change(GROUP, at(1)), false)
  await store.create(GROUP, at(0))
  await store.change(GROUP, at(1))
  for (const version of [0, 1, 3, 2 ** 32]) assert.equal(await store.change(GROUP, at(version)), false)
  assert.equal(await store.change(OTHER, at(2)), false)
  assert.equal(text(await store.find(GROUP)), 'state 1 by somebody')
  assert.equal((await store.log(GROUP, ALL)).length, 2)
})

forEachStore('the log is read in order, with the states that are wanted', async (store) => {
  await store.create(GROUP, at(0))
  for (let version = 1; version <= 12; version++)
    await store.change(GROUP, at(version, 'somebody', version === 9 ? 6 : 1))
  const page = { from: 2, to: 11, stateBeyondEpoch: 5, statesAt: [2, 10] }
  const rows = await store.log(GROUP, page)
  assert.deepEqual(
    rows.map(({ version }) => version),
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  )
  const withState = rows.filter(({ state }) => state !== undefined)
  assert.deepEqual(
    withState.map(({ version, changeEpoch, state }) => [version, changeEpoch, text(state)]),
    [2, 9, 10].map((version) => [version, version === 9 ? 6 : 1, `state ${version} by somebody`]),
  )
  const all = await store.log(GROUP, ALL)
  assert.ok(all.every(({ state }) => state !== undefined))
})
