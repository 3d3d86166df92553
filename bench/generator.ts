// The load generator: a process of its own that gets one job from its parent and answers with the result.
import { runIdle } from './generator/idle.ts'
import { runLoad } from './generator/load.ts'
import type { Job } from './job.ts'

process.once('message', async (job: Job) => {
  const result = job.kind === 'load' ? await runLoad(job) : await runIdle(job)
  process.send!(result, () => process.exit(0))
})
