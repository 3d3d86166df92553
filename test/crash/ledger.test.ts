// The crash test is worth what its ledger sees.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Lane } from './lane.ts'
import { GONE_WITHIN_MS, Ledger } from './ledger.ts'

const KILLED_AT_MS = 10_000
const RECIPIENT = 1

function openLedger(sealed = true): { ledger: Ledger; lane: Lane } {
  const ledger = new Ledger([{ sender: 0, recipient: RECIPIENT, sealed, way: 'h2' }], () => {})
  return { ledger, lane: ledger.lanes[0]! }
}

/** Sends so many, and each is answered with 200. */
function send(ledger: Ledger, lane: Lane, count = 1): void {
  for (let sent = 0; sent < count; sent++) ledger.accepted(lane, ledger.sent(lane))
}

function deliver(ledger: Ledger, lane: Lane, sequence: number, connection: object, ackedAtMs?: number): void {
  ledger.delivered(lane, sequence, connection)
  if (ackedAtMs !== undefined) ledger.acknowledged(lane, sequence, ackedAtMs)
}

const complains = ({ complaints }: Ledger, words: RegExp) => assert.match(complaints.join('\n'), words)

test('the ledger is content with what a kill may do', () => {
  const { ledger, lane } = openLedger(false)
  const [first, second] = [{}, {}]
  send(ledger, lane, 3)
  ledger.sent(lane) // the kill takes its answer
  deliver(ledger, lane, 0, first, KILLED_AT_MS - GONE_WITHIN_MS - 1)
  deliver(ledger, lane, 1, first, KILLED_AT_MS - 1)
  ledger.killed(KILLED_AT_MS)
  deliver(ledger, lane, 1, second, KILLED_AT_MS + 10)
  deliver(ledger, lane, 2, second, KILLED_AT_MS + 11)
  ledger.receipt(lane, 0, 1)
  ledger.receipt(lane, 1, 2)
  ledger.receipt(lane, 1, 3)
  ledger.receipt(lane, 2, 4)
  ledger.queueEmpty(RECIPIENT, second)
  ledger.conclude()
  assert.deepEqual(ledger.complaints, [])
  assert.equal(ledger.totals.againAfterAck, 1)
})

test('the ledger sees a message that was answered and is lost', () => {
  const { ledger, lane } = openLedger()
  send(ledger, lane)
  ledger.killed(KILLED_AT_MS)
  ledger.queueEmpty(RECIPIENT, {})
  assert.equal(ledger.totals.lost, 1)
})

test('the ledger sees a message that vanished before it was acknowledged', () => {
  const { ledger, lane } = openLedger()
  send(ledger, lane)
  deliver(ledger, lane, 0, {})
  ledger.killed(KILLED_AT_MS)
  ledger.queueEmpty(RECIPIENT, {})
  complains(ledger, /vanished/)
})

test('the ledger sees a message that comes again long after its acknowledgement', () => {
  const { ledger, lane } = openLedger()
  send(ledger, lane)
  deliver(ledger, lane, 0, {}, KILLED_AT_MS - GONE_WITHIN_MS - 1)
  ledger.killed(KILLED_AT_MS)
  deliver(ledger, lane, 0, {})
  complains(ledger, /acknowledged 1001 ms before/)
})

test('the ledger sees a message that was gone and comes back', () => {
  const { ledger, lane } = openLedger()
  send(ledger, lane)
  deliver(ledger, lane, 0, {}, KILLED_AT_MS - 1)
  ledger.killed(KILLED_AT_MS)
  ledger.queueEmpty(RECIPIENT, {})
  deliver(ledger, lane, 0, {})
  complains(ledger, /after it was gone/)
})

test('the ledger sees messages out of order, twice, and from nowhere', () => {
  const { ledger, lane } = openLedger()
  const connection = {}
  send(ledger, lane, 3)
  deliver(ledger, lane, 1, connection)
  complains(ledger, /message 1 overtook number 0/)
  deliver(ledger, lane, 0, connection)
  complains(ledger, /message 0 came after number 1/)
  deliver(ledger, lane, 1, connection)
  complains(ledger, /message 1 came twice/)
  deliver(ledger, lane, 7, connection)
  complains(ledger, /message 7 was never sent/)
})

test('the ledger sees a receipt too many, too early, and missing', () => {
  const { ledger, lane } = openLedger(false)
  send(ledger, lane, 2)
  ledger.receipt(lane, 0, 1)
  complains(ledger, /message 0 has a receipt though nobody/)
  deliver(ledger, lane, 0, {}, KILLED_AT_MS)
  ledger.receipt(lane, 0, 1)
  ledger.receipt(lane, 0, 2)
  complains(ledger, /message 0 has 2 receipts for 1/)
  deliver(ledger, lane, 1, {}, KILLED_AT_MS)
  ledger.conclude()
  complains(ledger, /message 1 never had its receipt/)
})
