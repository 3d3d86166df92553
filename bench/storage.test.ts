import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { registerAccounts } from './accounts.ts'
import type { LoadResult, StorageResult } from './job.ts'
import { generate, startOurs } from './processes.ts'
import { prepareStorage, RECORD_TASKS, storageTable } from './storage.ts'

test('groups and records are measured alone and beside messages, and nothing is refused', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-storage-bench-'))
  const server = await startOurs(directory)
  try {
    const [sender, recipient, ...keepers] = await registerAccounts(server.ready, 0, 2 + RECORD_TASKS.length)
    const storage = await prepareStorage(directory, server, [5], keepers)
    const { target } = server
    const { operations } = (await generate({
      kind: 'storage',
      target,
      storage,
      seconds: 0.1,
    })) as StorageResult
    assert.equal(operations.length, 3 + RECORD_TASKS.length)
    const besides = storage.tasks.filter(({ kind }) => kind === 'title' || kind === 'membership')
    const rate = { kind: 'rate' as const, seconds: 0.2, perSecond: 200 }
    const { phases } = (await generate({
      kind: 'load',
      target,
      transport: 'h1',
      mode: 'sealed',
      pairs: [{ sender: sender!, recipient: recipient! }],
      storage: { ...storage, tasks: besides },
      window: 8,
      payloadBytes: 818,
      phases: [rate, ...besides.map(({ name }) => ({ ...rate, beside: name }))],
    })) as LoadResult
    const [without, ...beside] = phases
    for (const { messages, lost, refused, complaint } of phases)
      assert.deepEqual(
        { messages, lost, refused, complaint },
        { messages: 40, lost: 0, refused: 0, complaint: undefined },
      )
    for (const done of [...operations, ...beside.map((phase) => phase.beside!)])
      assert.ok(
        done.count > 0 && done.refused === 0,
        `${done.name}: ${done.refused} of ${done.count} refused`,
      )
    const figures = beside.map((phase, at) => ({ alone: operations[at]!, without: without!, with: phase }))
    assert.equal(storageTable(figures).split('\n').length, 2 + beside.length)
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true })
  }
})
