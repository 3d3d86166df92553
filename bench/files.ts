// What files cost on their way in and out, with TLS and without, ours beside the floors in the same run.
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FileSubject, hasNginx, startFileServer } from './file-servers.ts'
import type { FilesJob, FilesResult } from './job.ts'
import type { Options } from './options.ts'
import { generate } from './processes.ts'
import { milliseconds, percent, section, unquiet } from './report.ts'

const MIB = 1024 * 1024
/** More than a load writes. */
const WARM_BYTES = 3 * 1024 * MIB
const AT_ONCE = 8

export type FileLoad = {
  readonly subject: FileSubject
  readonly direction: 'upload' | 'download'
  readonly isPlain: boolean
  readonly bytes: number
}
export type FileFigures = FileLoad & { readonly result: FilesResult }

const NAMES: Readonly<Record<FileSubject, string>> = {
  tus: 'floor: @tus/server, never fsyncs',
  'tus-fsync': 'floor: @tus/server, fsyncs',
  nginx: 'floor: nginx',
  ours: 'heliograph',
  'ours-nginx': 'heliograph at nginx',
}
const SUBJECTS: Readonly<Record<FileLoad['direction'], readonly FileSubject[]>> = {
  upload: ['tus', 'tus-fsync', 'ours', 'nginx', 'ours-nginx'],
  download: ['nginx', 'ours-nginx', 'ours'],
}
/** What each of ours is divided by, and how much it may be. */
const GOALS: Readonly<Record<string, readonly (readonly [FileSubject, number?])[]>> = {
  'upload ours': [['tus', 1.5], ['tus-fsync']],
  'upload ours-nginx': [['nginx']],
  'download ours-nginx': [['nginx', 1.3]],
  'download ours': [['nginx']],
}

const key = ({ subject, direction, isPlain, bytes }: FileLoad): string =>
  [subject, direction, isPlain, bytes].join(' ')

function plan({ rounds }: Options): FileLoad[] {
  const round = (['upload', 'download'] as const).flatMap((direction) =>
    [false, true].flatMap((isPlain) =>
      [MIB, 64 * MIB].flatMap((bytes) =>
        SUBJECTS[direction].map((subject) => ({ subject, direction, isPlain, bytes })),
      ),
    ),
  )
  const present = hasNginx() ? round : round.filter(({ subject }) => !subject.includes('nginx'))
  return Array.from({ length: rounds }, () => present).flat()
}

export async function filesFigures(directory: string, options: Options): Promise<FileFigures[]> {
  if (!hasNginx())
    console.log('nginx is not installed (apt-get install nginx libnginx-mod-http-js): its rows are missing')
  const figures: FileFigures[] = []
  for (const load of plan(options)) {
    if (!options.quick) warmMemory()
    const seconds = { warmUpSeconds: options.quick ? 1 : 2, seconds: options.seconds }
    const result = await measure(join(directory, 'files'), load, seconds)
    figures.push({ ...load, result })
    console.log(progress(load, result))
  }
  return figures
}

/** On a server that is started for it, and whose files are gone afterwards. */
export async function measure(
  directory: string,
  { subject, direction, isPlain, bytes }: FileLoad,
  seconds: Pick<FilesJob, 'warmUpSeconds' | 'seconds'>,
): Promise<FilesResult> {
  const server = await startFileServer(subject, directory, isPlain)
  try {
    const { origin, caPem } = server
    const transfer =
      direction === 'upload' ? server.upload : ({ kind: 'get', path: server.lay(bytes) } as const)
    const job = { kind: 'files', server: server.server, origin, caPem, transfer, bytes } as const
    return (await generate({ ...job, atOnce: AT_ONCE, ...seconds })) as FilesResult
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
    // What the next one writes does not wait for what this one left in memory.
    spawnSync('sync')
  }
}

/**
 * On a virtual machine a page of memory that was not used before costs the first who writes to it a multiple of the writing (a gigabyte:
 * 2 s of system time instead of 0.3). Whoever comes first would pay for the others: so nobody does.
 */
function warmMemory(): void {
  const file = join(tmpdir(), `heliograph-bench-${process.pid}`)
  const piece = Buffer.alloc(MIB)
  const handle = openSync(file, 'w')
  try {
    for (let at = 0; at < WARM_BYTES; at += MIB) writeSync(handle, piece, 0, MIB, at)
  } finally {
    closeSync(handle)
    rmSync(file)
  }
}

const describe = ({ subject, direction, isPlain, bytes }: FileLoad): string =>
  `${direction} ${bytes / MIB} MiB ${isPlain ? 'plain' : 'TLS'} · ${NAMES[subject]}`

function progress(load: FileLoad, result: FilesResult): string {
  const figures = `${result.mbPerSecond.toFixed(0).padStart(6)} MB/s  ${result.cpuMsPerMb.toFixed(2)} CPU-ms/MB`
  return `  ${describe(load).padEnd(56)}${figures}${warnings(result)}`
}

const warnings = (result: FilesResult): string =>
  unquiet(result, [result.refused > 0 && `REFUSED ${result.refused}: ${result.complaint}`])

export function filesTables(figures: readonly FileFigures[]): string {
  const rows = medians(figures)
  const blocks = Map.groupBy(rows, ({ direction, isPlain, bytes }) => [direction, isPlain, bytes].join(' '))
  return [...blocks.values()].map(filesTable).join('\n\n')
}

function filesTable(rows: readonly FileFigures[]): string {
  const { direction, isPlain, bytes } = rows[0]!
  const cipher = rows.find(({ result }) => result.cipher)?.result.cipher
  const ciphers = new Set(rows.map(({ result }) => result.cipher))
  const line = isPlain ? 'without TLS' : `TLS, ${ciphers.size === 1 ? cipher : [...ciphers].join(' and ')}`
  const head = ['', 'MB/s', 'CPU-ms/MB', 'p50', 'p99', 'gen CPU', '× floors (CPU)', '']
  return section(`${direction} of ${bytes / MIB} MiB, ${AT_ONCE} at once, ${line}`, [
    head,
    ...rows.map(({ result, ...load }) => [
      NAMES[load.subject],
      result.mbPerSecond.toFixed(0),
      result.cpuMsPerMb.toFixed(2),
      milliseconds(result.tookMs.p50),
      milliseconds(result.tookMs.p99),
      percent(result.generatorCpuShare),
      ratios(load, result, rows),
      warnings(result).trim(),
    ]),
  ])
}

function ratios(
  { direction, subject }: FileLoad,
  { cpuMsPerMb }: FilesResult,
  rows: readonly FileFigures[],
): string {
  const goals = GOALS[`${direction} ${subject}`] ?? []
  const parts = goals.flatMap(([name, most]) => {
    const floor = rows.find((row) => row.subject === name)
    if (!floor) return []
    const ratio = cpuMsPerMb / floor.result.cpuMsPerMb
    return most === undefined ? ratio.toFixed(2) : `${ratio.toFixed(2)} (goal ${most})`
  })
  return parts.join(' · ') || '–'
}

/** Of several rounds, the one in the middle by CPU. */
function medians(figures: readonly FileFigures[]): FileFigures[] {
  return [...Map.groupBy(figures, key).values()].map((rows) => {
    const sorted = rows.toSorted((a, b) => a.result.cpuMsPerMb - b.result.cpuMsPerMb)
    return sorted[Math.floor(sorted.length / 2)]!
  })
}
