import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newAci } from '../../../test/sample-account.ts'
import { MessageStore, Queue } from './store.ts'

const CREATED_AT_MS = 1_800_000_000_000
const ALL = 1_000

async function openStore(open: OpenEngine) {
  const store = new MessageStore(await openChatStorage(open))
  const fill = (queue: Queue, seqs: readonly number[]) =>
    store.write(seqs.map((seq) => store.add(queue, { seq, envelope: Buffer.from(String(seq)) })))
  const seqsOf = async (queue: Queue) => (await store.page(queue, 0, ALL)).map(({ seq }) => seq)
  return { store, fill, seqsOf }
}

const newQueue = (aci = newAci(), deviceId = 1, createdAtMs = CREATED_AT_MS) =>
  new Queue(aci, deviceId, createdAtMs)

/** Queues that share all but one part of their names with the first. */
function neighbours(): [Queue, ...Queue[]] {
  const aci = newAci()
  return [newQueue(aci), newQueue(aci, 2), newQueue(aci, 1, CREATED_AT_MS + 1), newQueue()]
}

forEachEngine('a page has the messages after a number, in order, each as it was added', async (open) => {
  const { store } = await openStore(open)
  const queue = newQueue()
  const envelopes = [10, 2 ** 52, 30, 20].map((seq) => ({ seq, envelope: randomBytes(seq % 300) }))
  for (const message of envelopes) await store.write([store.add(queue, message)])
  const sorted = envelopes.toSorted((a, b) => a.seq - b.seq)
  assert.deepEqual(plain(await store.page(queue, 0, ALL)), plain(sorted))
  assert.deepEqual(plain(await store.page(queue, 0, 2)), plain(sorted.slice(0, 2)))
  assert.deepEqual(plain(await store.page(queue, 10, 2)), plain(sorted.slice(1, 3)))
  assert.deepEqual(plain(await store.page(queue, 29, ALL)), plain(sorted.slice(2)))
  assert.deepEqual(await store.page(queue, 2 ** 52, ALL), [])
})

forEachEngine('a queue holds what was added and not removed, whatever the others do', async (open) => {
  const { store, fill, seqsOf } = await openStore(open)
  const seqs = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 30 })
  const range = fc.tuple(fc.integer({ min: 0, max: 61 }), fc.integer({ min: 0, max: 61 }))
  await fc.assert(
    fc.asyncProperty(seqs, fc.array(range, { maxLength: 4 }), async (added, removed) => {
      const queues = neighbours()
      for (const queue of queues) await fill(queue, added)
      await store.write(removed.map(([first, last]) => store.remove(queues[0], first, last)))
      const sorted = added.toSorted((a, b) => a - b)
      const left = sorted.filter((seq) => !removed.some(([first, last]) => seq >= first && seq <= last))
      assert.deepEqual(await seqsOf(queues[0]), left)
      assert.equal(await store.isEmpty(queues[0]), left.length === 0)
      for (const queue of queues.slice(1)) assert.deepEqual(await seqsOf(queue), sorted)
    }),
    { numRuns: 15 },
  )
})

forEachEngine("a device linked anew under an old id does not see its predecessor's queue", async (open) => {
  const { store, fill, seqsOf } = await openStore(open)
  const aci = newAci()
  const [old, fresh] = [newQueue(aci, 2), newQueue(aci, 2, CREATED_AT_MS + 1)]
  await fill(old, [1, 2])
  assert.ok(await store.isEmpty(fresh))
  await fill(fresh, [3])
  assert.deepEqual(await seqsOf(fresh), [3])
  assert.deepEqual(await seqsOf(old), [1, 2])
  assert.notEqual(old.channel, fresh.channel)
})

forEachEngine('clearing empties every queue of an account, and of no other', async (open) => {
  const { store, fill, seqsOf } = await openStore(open)
  const queues = neighbours()
  for (const queue of queues) await fill(queue, [1, 2])
  await store.write(store.clear(queues[0].aci))
  for (const queue of queues) assert.deepEqual(await seqsOf(queue), queue.aci === queues[0].aci ? [] : [1, 2])
})

forEachEngine('what is too old goes in batches, out of every queue, and nothing else does', async (open) => {
  const { store, fill, seqsOf } = await openStore(open)
  const queues = neighbours()
  for (const queue of queues) await fill(queue, [1, 2, 3, 100])
  const left = async () => (await Promise.all(queues.map(seqsOf))).flat().length
  assert.equal(await store.expire(3, 5), true)
  assert.equal(await left(), 11)
  assert.equal(await store.expire(3, 5), false)
  for (const queue of queues) assert.deepEqual(await seqsOf(queue), [3, 100])
  assert.equal(await store.expire(3, 5), false)
})

forEachEngine('the highest number of all queues is told, or 0', async (open) => {
  const { store, fill } = await openStore(open)
  assert.equal(await store.lastSeq(), 0)
  const [first, second] = neighbours() as [Queue, Queue]
  await fill(first, [7, 2 ** 52 + 1])
  await fill(second, [12])
  assert.equal(await store.lastSeq(), 2 ** 52 + 1)
  await store.write([store.remove(first, 2 ** 52 + 1, 2 ** 52 + 1)])
  assert.equal(await store.lastSeq(), 12)
})

forEachEngine('a list that cannot be written whole is not written at all', async (open) => {
  const { fill, seqsOf } = await openStore(open)
  const queue = newQueue()
  await fill(queue, [1])
  await assert.rejects(fill(queue, [2, 1]))
  assert.deepEqual(await seqsOf(queue), [1])
})

forEachEngine(
  'copies that share content are whole in every queue, and the content goes with the last',
  async (open) => {
    const sql = await openChatStorage(open)
    const store = new MessageStore(sql)
    const queues = neighbours()
    const content = { id: randomBytes(16), bytes: randomBytes(300) }
    const alone = { id: randomBytes(16), bytes: randomBytes(5) }
    const heads = queues.map(() => randomBytes(20))
    await store.write([
      store.share(content, 0),
      ...queues.map((queue, index) => store.addSharing(queue, 11, heads[index]!, content)),
      store.share(alone, 0),
      store.addSharing(queues[0], 13, Buffer.of(9), alone),
      ...queues.map((queue) => store.add(queue, { seq: 12, envelope: Buffer.of(1) })),
    ])
    const kept = async () => (await sql.read('SELECT id FROM shared_contents')).length
    for (const [index, queue] of queues.entries()) {
      const [first, second] = await store.page(queue, 0, ALL)
      assert.deepEqual(Buffer.from(first!.envelope), Buffer.concat([heads[index]!, content.bytes]))
      assert.deepEqual(plain(second), plain({ seq: 12, envelope: Buffer.of(1) }))
    }
    await store.write(store.removeSharing(queues[0], 11, 13))
    assert.deepEqual([await seqsIn(store, queues[0]), await kept()], [[], 1])
    await store.write(store.clearDevice(queues[1]!.aci, 2))
    await store.write(store.clear(queues[3]!.aci))
    assert.equal(await kept(), 1)
    assert.equal(await store.expire(12, 10), false)
    assert.deepEqual([await seqsIn(store, queues[2]!), await kept()], [[12], 0])
  },
)

forEachEngine('a shared content outlives neither its last copy’s expiry nor goes before it', async (open) => {
  const sql = await openChatStorage(open)
  const store = new MessageStore(sql)
  const queue = newQueue()
  const content = { id: randomBytes(16), bytes: randomBytes(5) }
  await store.write([
    store.share(content, 2),
    ...[3, 5, 7].map((seq) => store.addSharing(queue, seq, Buffer.of(8), content)),
  ])
  const kept = async () => (await sql.read('SELECT id FROM shared_contents')).length
  await store.expire(6, 1)
  await store.expire(6, 1)
  assert.deepEqual([await seqsIn(store, queue), await kept()], [[7], 1])
  await store.expire(8, 10)
  assert.deepEqual([await seqsIn(store, queue), await kept()], [[], 0])
})

async function seqsIn(store: MessageStore, queue: Queue): Promise<number[]> {
  return (await store.page(queue, 0, ALL)).map(({ seq }) => seq)
}
