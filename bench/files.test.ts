import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { FILE_SUBJECTS, hasNginx } from './file-servers.ts'
import { type FileFigures, type FileLoad, filesTables, measure } from './files.ts'

const BYTES = 100_000
const loads = (['upload', 'download'] as const).flatMap((direction) =>
  FILE_SUBJECTS.filter((subject) => direction === 'upload' || !subject.startsWith('tus')).map(
    (subject, index): FileLoad => ({ subject, direction, isPlain: index % 2 === 0, bytes: BYTES }),
  ),
)

describe('files of the bench', { concurrency: 2 }, () => {
  for (const load of loads)
    test(`${load.direction}s at "${load.subject}" are measured, and none is refused`, async (t) => {
      if (load.subject.includes('nginx') && !hasNginx()) return t.skip('nginx is not installed')
      const directory = mkdtempSync(join(tmpdir(), 'heliograph-files-'))
      t.after(() => rmSync(directory, { recursive: true, force: true }))
      const result = await measure(join(directory, 'x'), load, { warmUpSeconds: 0, seconds: 0.3 })
      assert.equal(result.complaint, undefined)
      assert.equal(result.refused, 0)
      assert.ok(result.files > 0 && result.mbPerSecond > 0)
      assert.equal(result.cipher === undefined, load.isPlain)
    })
})

test('each of ours is divided by its floors in the same block, by CPU', () => {
  const figure = (subject: FileFigures['subject'], cpuMsPerMb: number): FileFigures => ({
    ...{ subject, direction: 'upload', isPlain: true, bytes: 1024 * 1024 },
    result: {
      ...{ kind: 'files', files: 1, mbPerSecond: 100, cpuMsPerMb, cipher: undefined, refused: 0 },
      ...{ serverCpuShare: 1, generatorCpuShare: 0.1, othersCpuShare: 0 },
      tookMs: { p50: 1, p99: 2, p999: 3 },
    },
  })
  const rows = [
    figure('tus', 2),
    figure('tus-fsync', 4),
    figure('ours', 9),
    figure('ours', 3),
    figure('ours', 2),
  ]
  const table = filesTables(rows)
  assert.match(table, /^upload of 1 MiB, 8 at once, without TLS$/m)
  assert.match(table, /heliograph +100 +3\.00 .* 1\.50 \(goal 1\.5\) · 0\.75/)
})
