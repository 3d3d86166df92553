import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const contents = (directory: string) =>
  Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  )

test('the generated code is what the protos say today', () => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-gen-'))
  try {
    execFileSync(process.execPath, [here('./generate.ts'), directory])
    assert.deepEqual(contents(here('./gen/')), contents(directory), 'run `npm run gen`')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
