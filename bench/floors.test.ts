import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { inventAccounts } from './accounts.ts'
import type { LoadJob, LoadResult, Transport } from './job.ts'
import { FLOORS, type Floor } from './plan.ts'
import { generate, startFloor } from './processes.ts'

const PAIRS = 4

async function loadOn(floor: Floor, transport: Transport): Promise<LoadResult> {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-floor-'))
  const server = await startFloor(floor, directory)
  try {
    return (await generate(job(server.target, transport))) as LoadResult
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true })
  }
}

function job(target: LoadJob['target'], transport: Transport): LoadJob {
  const accounts = inventAccounts(2 * PAIRS)
  const pairs = Array.from({ length: PAIRS }, (_, index) => ({
    sender: accounts[index]!,
    recipient: accounts[PAIRS + index]!,
  }))
  const seconds = 0.2
  const phases = [
    { kind: 'online' as const, seconds },
    { kind: 'rate' as const, seconds, perSecond: 200 },
    { kind: 'store' as const, seconds },
    { kind: 'drain' as const },
  ]
  return { kind: 'load', target, transport, mode: 'identified', pairs, window: 8, payloadBytes: 818, phases }
}

const cases = [
  ...FLOORS.map((floor) => [floor, 'h1'] as const),
  ['stored', 'h2'] as const,
  ['stored', 'grpc'] as const,
]

describe('the floors', { concurrency: true }, () => {
  for (const [floor, transport] of cases) {
    test(`the floor "${floor}" delivers all that it accepts over ${transport}, once`, async () => {
      const { phases } = await loadOn(floor, transport)
      const [online, rate, store, drain] = phases
      assert.deepEqual(
        phases.map(({ lost, duplicates, refused, complaint }) => ({ lost, duplicates, refused, complaint })),
        phases.map(() => ({ lost: 0, duplicates: 0, refused: 0, complaint: undefined })),
      )
      assert.ok(online!.messages > 0)
      assert.equal(rate!.messages, 40)
      assert.ok(store!.messages > 0)
      assert.equal(drain!.messages, store!.messages)
    })
  }
})
