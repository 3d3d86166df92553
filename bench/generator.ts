// The load generator: a process of its own that gets one job from its parent and answers with the result.
import { runFiles } from './generator/files.ts'
import { runIdle } from './generator/idle.ts'
import { runLoad } from './generator/load.ts'
import { runStorage } from './generator/storage.ts'
import type { Job, Result } from './job.ts'

process.once('message', async (job: Job) => {
  const result = await run(job)
  process.send!(result, () => process.exit(0))
})

function run(job: Job): Promise<Result> {
  if (job.kind === 'load') return runLoad(job)
  if (job.kind === 'files') return runFiles(job)
  return job.kind === 'idle' ? runIdle(job) : runStorage(job)
}
