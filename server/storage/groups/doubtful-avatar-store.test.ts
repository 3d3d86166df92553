import assert from 'node:assert/strict'
import { forEachEngine } from '../../../test/engines.ts'
import { openStorageTables } from '../../../test/storage-rules.ts'
import { ManualClock } from '../../kit/clock.ts'
import { GroupAvatarSweep } from './avatar-sweep.ts'
import { DoubtfulAvatarStore } from './doubtful-avatar-store.ts'
import { Group } from './messages.ts'
import { GroupStore } from './store.ts'

const groupId = new Uint8Array(32).fill(5)
const avatar = (name: string) => ({ groupId, objectKey: `groups/BQ/${name}` })
const version = (number: number, avatarUrl: string) => ({
  version: number,
  change: new Uint8Array(1),
  changeEpoch: 0,
  state: Group.encode({ avatarUrl }).finish(),
})

forEachEngine(
  'a change that names a picture and a sweep that removes it: one of them comes first',
  async (open) => {
    const sql = await openStorageTables(open)
    const [groups, doubtful] = [new GroupStore(sql), new DoubtfulAvatarStore(sql)]
    const clock = new ManualClock()
    await groups.create(groupId, version(0, ''))
    const removed: string[] = []
    const objects = { delete: async (key: string) => void removed.push(key) }
    const sweep = new GroupAvatarSweep({
      groups,
      doubtful,
      clock,
      objects,
      onBug: (error) => assert.fail(error as Error),
    })
    let [next, named] = [1, 0]
    for (let round = 0; round < 60; round++) {
      const one = avatar(String(round))
      await doubtful.begin(one, clock.nowMs())
      const naming = doubtful.naming(one, clock.nowMs() + 1000)
      const change = () => groups.change(groupId, version(next, one.objectKey), naming)
      // At once, or a little into the sweep.
      const sweeping = sweep.sweep()
      for (let turns = round % 6; turns > 0; turns--) await new Promise(setImmediate)
      const [won] = await Promise.all([change(), sweeping])
      if (won) next++
      if (won) named++
      assert.equal(removed.includes(one.objectKey), !won, `round ${round}`)
    }
    assert.ok(named > 0)
  },
)

forEachEngine('what could not be removed stays claimed, and is due later', async (open) => {
  const sql = await openStorageTables(open)
  const [groups, doubtful] = [new GroupStore(sql), new DoubtfulAvatarStore(sql)]
  const clock = new ManualClock()
  await groups.create(groupId, version(0, ''))
  const bugs: unknown[] = []
  let isAway = true
  const objects = {
    async delete() {
      if (isAway) throw new Error('the store is away')
    },
  }
  const sweep = new GroupAvatarSweep({ groups, doubtful, clock, objects, onBug: (bug) => bugs.push(bug) })
  await doubtful.begin(avatar('x'), clock.nowMs())
  await sweep.sweep()
  assert.equal(bugs.length, 1)
  assert.deepEqual(await doubtful.due(clock.nowMs(), 9), [])
  const naming = doubtful.naming(avatar('x'), clock.nowMs() + 1000)
  assert.equal(await groups.change(groupId, version(1, avatar('x').objectKey), naming), false)
  isAway = false
  clock.advance(3_600_000)
  await sweep.sweep()
  assert.deepEqual(await doubtful.due(Number.MAX_SAFE_INTEGER, 9), [])
  assert.equal(await groups.change(groupId, version(1, avatar('x').objectKey), naming), true)
})
