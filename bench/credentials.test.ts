import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { registerAccounts } from './accounts.ts'
import type { LoadResult } from './job.ts'
import { generate, startOurs } from './processes.ts'

test('messages and weeks of credentials are served beside each other', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-credentials-'))
  const server = await startOurs(directory)
  try {
    const [sender, recipient, ...askers] = await registerAccounts(server.ready, 0, 6)
    const result = await generate({
      kind: 'load',
      target: server.target,
      transport: 'h1',
      mode: 'sealed',
      pairs: [{ sender: sender!, recipient: recipient! }],
      askers,
      window: 8,
      payloadBytes: 818,
      phases: [{ kind: 'rate', seconds: 0.3, perSecond: 200, askers: true }],
    })
    const [{ messages, lost, refused, bursts, complaint } = assert.fail('no result')] = (result as LoadResult)
      .phases
    assert.deepEqual(
      { messages, lost, refused, complaint },
      { messages: 60, lost: 0, refused: 0, complaint: undefined },
    )
    assert.equal(bursts?.refused, 0)
    assert.ok(bursts.lastedMs.length > 0 && bursts.weeksPerSecond > 0)
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true })
  }
})
