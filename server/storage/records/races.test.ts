// Devices of one account that write at the same time, in random histories: one wins per version, and what is stored is
// what the winner meant to store.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { forEachEngine } from '../../../test/engines.ts'
import { inOrder, keysOf, newItem, newItems, noise, type RecordItem } from '../../../test/records.ts'
import { newAci } from '../../../test/sample-account.ts'
import { openRecords } from '../../../test/storage-rules.ts'
import type { Credentials } from '../../../wire/route.ts'
import type { Records, WriteOutcome } from './records.ts'
import type { Manifest } from './store.ts'

const RUNS = 25
const KEY_BYTES = 16

/** What one device does to the records as it knows them. */
type Intent = {
  readonly adds: number
  readonly keeps: number
  readonly changes: number
  readonly clearAll: boolean
}
const intents = fc.record({
  adds: fc.nat(80),
  keeps: fc.nat(100),
  changes: fc.nat(5),
  clearAll: fc.boolean(),
})
const histories = fc.array(fc.array(intents, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 })

/** The manifest lists the keys of its records, as clients' do. */
const manifestFor = (version: number, items: readonly RecordItem[]): Manifest => ({
  version,
  value: new Uint8Array(Buffer.concat(keysOf(items))),
})
const listed = ({ value }: Manifest): Uint8Array[] =>
  Array.from({ length: value.length / KEY_BYTES }, (_, index) =>
    value.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES),
  )

function planOf(known: readonly RecordItem[], version: number, intent: Intent) {
  const kept = known.slice(0, intent.keeps)
  const changed = kept.slice(0, intent.changes).map(({ key }) => ({ key, value: noise(20) }))
  const added = newItems(intent.adds, 20)
  const items = [...changed, ...kept.slice(intent.changes), ...added]
  const inserts = intent.clearAll ? items : [...changed, ...added]
  const deletes = intent.clearAll ? [] : keysOf(known.slice(intent.keeps))
  const manifest = manifestFor(version, items)
  return { items, request: { manifest, inserts, deletes, clearAll: intent.clearAll } }
}

/** Reads as a device does, until the writers are done; gives how often every record of the manifest was there. */
async function readMeanwhile(records: Records, own: Credentials, writers: Promise<unknown>): Promise<number> {
  let done = false
  const ended = writers.finally(() => {
    done = true
  })
  let whole = 0
  do {
    const manifest = await records.manifest(own)
    if (!manifest || manifest.value.length === 0) continue
    const items = await records.read(own, listed(manifest))
    const after = await records.manifest(own)
    if (after!.version !== manifest.version) continue
    assert.deepEqual(keysText(keysOf(items)), keysText(listed(manifest)))
    whole++
  } while (!done)
  await ended
  return whole
}
const keysText = (keys: readonly Uint8Array[]) => keys.map((key) => Buffer.from(key).toString('hex')).sort()

forEachEngine('of devices that write at once one wins, and what is stored is what it meant', async (open) => {
  let whole = 0
  const { records, credentials, sql, again } = await openRecords(open)
  // SQLite has one process; on PostgreSQL the devices are served by two.
  const processes = [records, sql.engine === 'postgres' ? again(await open()) : records]
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const own = credentials.issue(newAci())
      const first = newItems(70, 20)
      const ever = [...first]
      let items: readonly RecordItem[] = first
      const begun = { manifest: manifestFor(1, first), inserts: first, deletes: [], clearAll: false }
      assert.deepEqual(await records.write(own, begun), { kind: 'written' })
      for (const [round, writers] of history.entries()) {
        const plans = writers.map((intent) => planOf(items, round + 2, intent))
        const writing = Promise.all(
          plans.map(({ request }, index) => processes[index % 2]!.write(own, request)),
        )
        whole += await readMeanwhile(records, own, writing)
        const outcomes = await writing
        const winner = plans[outcomes.findIndex(({ kind }) => kind === 'written')]!
        assert.equal(outcomes.filter(({ kind }) => kind === 'written').length, 1)
        for (const outcome of outcomes) assertTold(outcome, winner.request.manifest)
        items = winner.items
        for (const plan of plans) ever.push(...plan.items)
        const stored = await records.read(own, keysOf([...ever, newItem()]))
        assert.deepEqual(inOrder(stored), inOrder(items))
      }
    }),
    { numRuns: RUNS },
  )
  assert.ok(whole > 0, "no reading with nobody's write in between")
})

function assertTold(outcome: WriteOutcome, winner: Manifest): void {
  if (outcome.kind === 'written') return
  assert.equal(outcome.current.version, winner.version)
  assert.deepEqual(keysText(listed(outcome.current)), keysText(listed(winner)))
}
