import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

test('the demo tells a story in plain text that ends well', async () => {
  const env = { ...process.env, NO_COLOR: '1' }
  // It rejects where the exit code is not 0.
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, 'demo.ts')], { env })
  assert.match(stdout, /lost \.+ +0\n/)
  assert.match(stdout, /\n✔ Two kills in mid-stream, (\d+) of \1 messages read/)
  assert.ok(!stdout.includes('\u001b'), 'no escape sequences')
})
