// The check as nginx's JavaScript module runs it: the source with spaces where its types stood, line by line the same.
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'

const SOURCE = join(import.meta.dirname, 'upload-check.ts')

export const uploadCheckScript = (): string =>
  withoutWarnings(() => stripTypeScriptTypes(readFileSync(SOURCE, 'utf8'), { mode: 'strip' }))

/** Node says of this function that it may change; a test runs what it gives. */
function withoutWarnings<T>(action: () => T): T {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return action()
  } finally {
    process.emitWarning = emitWarning
  }
}
