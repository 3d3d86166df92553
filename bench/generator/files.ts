// Files up or down, so many at once, each on a connection that stays open; the server's CPU from before the first to after the last.
import type { FilesJob, FilesResult } from '../job.ts'
import { coreBusySeconds, fineCpuSeconds } from '../proc.ts'
import { FileCalls } from './file-calls.ts'
import { Samples } from './meter.ts'
import { type Outcome, transferOf } from './transfers.ts'

const MB = 1e6

export async function runFiles(job: FilesJob): Promise<FilesResult> {
  const calls = new FileCalls(job)
  const transfer = await transferOf(job, calls)
  await repeat(job, transfer, job.warmUpSeconds)
  const before = reading(job)
  const done = await repeat(job, transfer, job.seconds)
  const after = reading(job)
  calls.close()
  const seconds = (after.atMs - before.atMs) / 1000
  const megabytes = (done.files * job.bytes) / MB
  const cpu = after.server - before.server
  return {
    kind: 'files',
    files: done.files,
    mbPerSecond: megabytes / seconds,
    cpuMsPerMb: (cpu * 1000) / megabytes,
    serverCpuShare: cpu / seconds,
    generatorCpuShare: (after.own - before.own) / seconds,
    othersCpuShare: (after.others - before.others) / seconds,
    tookMs: done.took.percentiles(),
    cipher: calls.cipher,
    refused: done.refused,
    ...(done.complaint && { complaint: done.complaint }),
  }
}

function reading({ server: { pids, core } }: FilesJob) {
  const server = pids.reduce((sum, pid) => sum + fineCpuSeconds(pid), 0)
  const { user, system } = process.cpuUsage()
  return {
    atMs: performance.now(),
    server,
    own: (user + system) / 1e6,
    others: core === undefined ? 0 : coreBusySeconds(core) - server,
  }
}

/** Those under way when the time is over come to their end, and count. */
async function repeat({ atOnce }: FilesJob, transfer: () => Promise<Outcome>, seconds: number) {
  const endMs = performance.now() + seconds * 1000
  const took = new Samples()
  let files = 0
  let refused = 0
  let complaint: string | undefined
  const loop = async () => {
    while (performance.now() < endMs) {
      const startMs = performance.now()
      const refusal = await transfer()
      took.add(performance.now() - startMs)
      if (refusal === undefined) files++
      else refused++
      complaint ??= refusal
      // A server that refuses everything is not asked again.
      if (refused > atOnce) return
    }
  }
  await Promise.all(Array.from({ length: atOnce }, loop))
  return { files, refused, took, complaint }
}
