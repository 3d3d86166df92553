// Tables of figures, each beside its ratio to the floor that stores.
import { cpus } from 'node:os'
import type { IdleResult, PhaseResult } from './job.ts'
import { type Load, RATES } from './plan.ts'

export type LoadFigures = Omit<Load, 'phases'> & { readonly result: PhaseResult; readonly rssMiB: number }
export type IdleFigures = IdleResult & { readonly subject: string; readonly note: string }
export type Figures = { readonly loads: readonly LoadFigures[]; readonly idle: readonly IdleFigures[] }

const GENERATOR_BUSY = 0.8
const OTHERS_BUSY = 0.1
const NAMES = {
  thin: 'floor: thin relay',
  frames: "floor: Signal's frames",
  stored: 'floor: frames + SQLCipher',
  ours: 'heliograph',
} as const

export const describe = ({ subject, transport, mode }: Omit<Load, 'phases'>): string =>
  [NAMES[subject], transport, ...(subject === 'ours' ? [mode] : [])].join(' · ')

export const machine = (pinned: boolean): string => {
  const all = cpus()
  const pins = pinned ? 'server on core 0, generator on core 1' : 'not pinned'
  return `${all.length} × ${all[0]?.model.trim()} · ${process.platform} · Node ${process.versions.node} · ${pins}`
}

/** One line as soon as a phase is over. */
export function progress(load: Omit<Load, 'phases'>, result: PhaseResult): string {
  const rate = `${Math.round(result.perSecond)}/s`
  const cpu = `${result.cpuSecondsPer1000.toFixed(4)} CPU-s per 1000`
  const shares = `server ${percent(result.serverCpuShare)}, generator ${percent(result.generatorCpuShare)}`
  const phase = result.perSecondAsked ? `at ${result.perSecondAsked}/s` : result.phase
  return `  ${describe(load).padEnd(36)} ${phase.padEnd(10)} ${rate.padStart(8)}  ${cpu}  (${shares})${warnings(result)}`
}

/** What makes a figure doubtful, or is wrong with it. */
export function warnings(result: PhaseResult): string {
  return unquiet(result, [
    result.lost > 0 && `LOST ${result.lost}`,
    result.duplicates > 0 && `duplicates ${result.duplicates}`,
    result.refused > 0 && `refused ${result.refused}`,
    result.receiptsMissing > 0 && `receipts missing ${result.receiptsMissing}`,
    result.complaint,
  ])
}

/** What was found, and whether something else wanted the cores. */
export function unquiet(
  { generatorCpuShare, othersCpuShare }: Pick<PhaseResult, 'generatorCpuShare' | 'othersCpuShare'>,
  found: readonly (string | false | undefined)[],
): string {
  const all = [
    ...found,
    generatorCpuShare > GENERATOR_BUSY && 'the generator is busy: the rate may be its own',
    othersCpuShare > OTHERS_BUSY && `others took ${percent(othersCpuShare)} of the server's core`,
  ].filter(Boolean)
  return all.length > 0 ? `  ! ${all.join(', ')}` : ''
}

export function tables({ loads, idle }: Figures): string {
  const merged = medians(loads)
  return [
    section(
      'Online: the recipient is connected; the window of 8 per sender is kept full',
      onlineTable(merged),
    ),
    section('At a fixed rate (open loop; times count from when a message was due)', rateTable(merged)),
    section(
      'Absent: the recipient is away while all is stored, then connects and drains',
      absentTable(merged),
    ),
    section('Idle connections', idleTable(idle)),
    totals(loads),
  ]
    .filter(Boolean)
    .join('\n\n')
}

function onlineTable(loads: readonly LoadFigures[]): string[][] {
  const rows = loads.filter(({ result }) => result.phase === 'online')
  return [
    ['', 'messages/s', 'CPU-s/1000', '× floor', 'ack p50', 'p99', 'p99.9', 'end p50', 'p99', 'gen CPU'],
    ...rows.map((row) => [...figures(row, rows), percent(row.result.generatorCpuShare)]),
  ].map((row) => (rows.length > 0 ? row : []))
}

function rateTable(loads: readonly LoadFigures[]): string[][] {
  const rows = loads.filter(({ result }) => result.phase === 'rate')
  if (rows.length === 0) return []
  return [
    ['', 'messages/s', 'CPU-s/1000', '× floor', 'ack p50', 'p99', 'p99.9', 'end p50', 'p99'],
    ...rows.map((row) => {
      const sameRate = rows.filter(({ result }) => result.perSecondAsked === row.result.perSecondAsked)
      return figures(row, sameRate)
    }),
  ]
}

function figures(row: LoadFigures, among: readonly LoadFigures[]): string[] {
  const { result } = row
  const { ackMs, endToEndMs } = result
  const times = [ackMs.p50, ackMs.p99, ackMs.p999, endToEndMs.p50, endToEndMs.p99].map(milliseconds)
  return [describe(row), String(Math.round(result.perSecond)), cpu(result), ratio(row, among), ...times]
}

function absentTable(loads: readonly LoadFigures[]): string[][] {
  const stores = loads.filter(({ result }) => result.phase === 'store')
  const drains = loads.filter(({ result }) => result.phase === 'drain')
  if (stores.length === 0) return []
  return [
    ['', 'store/s', 'CPU-s/1000', '× floor', 'ack p50', 'p99', 'drain/s', 'CPU-s/1000', '× floor'],
    ...stores.map((store) => {
      const drain = drains.find((other) => describe(other) === describe(store))!
      const { result } = store
      return [
        describe(store),
        String(Math.round(result.perSecond)),
        cpu(result),
        ratio(store, stores),
        milliseconds(result.ackMs.p50),
        milliseconds(result.ackMs.p99),
        String(Math.round(drain.result.perSecond)),
        cpu(drain.result),
        ratio(drain, drains),
      ]
    }),
  ]
}

function idleTable(idle: readonly IdleFigures[]): string[][] {
  if (idle.length === 0) return []
  return [
    ['', 'held', 'KiB each', 'CPU-ms per connect', 'MiB before', ''],
    ...idle.map((row) => [
      row.subject,
      String(row.connections),
      row.kibPerConnection.toFixed(1),
      row.cpuMsPerConnect.toFixed(2),
      row.baseMiB.toFixed(0),
      row.note,
    ]),
  ]
}

function totals(loads: readonly LoadFigures[]): string {
  const sum = (of: (result: PhaseResult) => number) =>
    loads.reduce((total, { result }) => total + of(result), 0)
  const receipts = sum(({ receipts }) => receipts)
  return [
    `lost ${sum(({ lost }) => lost)}`,
    `duplicates ${sum(({ duplicates }) => duplicates)}`,
    `refused ${sum(({ refused }) => refused)}`,
    `delivery receipts ${receipts}, missing ${sum(({ receiptsMissing }) => receiptsMissing)}`,
  ].join(' · ')
}

/** Of several rounds, the one in the middle by CPU stands for all. */
function medians(loads: readonly LoadFigures[]): LoadFigures[] {
  const groups = new Map<string, LoadFigures[]>()
  for (const row of loads) {
    const { phase, perSecondAsked = 0 } = row.result
    const rate = RATES.includes(perSecondAsked) ? perSecondAsked : 'half of the most'
    const key = `${describe(row)} ${phase} ${rate}`
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  return [...groups.values()].map((rows) => {
    const sorted = rows.toSorted((a, b) => a.result.cpuSecondsPer1000 - b.result.cpuSecondsPer1000)
    return sorted[Math.floor(sorted.length / 2)]!
  })
}

function ratio(row: LoadFigures, among: readonly LoadFigures[]): string {
  const floor = among.find(({ subject, transport }) => subject === 'stored' && transport === row.transport)
  if (!floor || row.subject !== 'ours') return '–'
  return (row.result.cpuSecondsPer1000 / floor.result.cpuSecondsPer1000).toFixed(2)
}

const cpu = (result: PhaseResult): string => result.cpuSecondsPer1000.toFixed(4)
export const milliseconds = (ms: number): string => (Number.isFinite(ms) ? `${ms.toFixed(1)} ms` : '–')
export const percent = (share: number): string => `${Math.round(share * 100)} %`

/** A table under its title; nothing if it has no rows but the first. */
export function section(title: string, rows: readonly string[][]): string {
  const filled = rows.filter((row) => row.length > 0)
  if (filled.length < 2) return ''
  const widths = filled[0]!.map((_, column) => Math.max(...filled.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
  return [title, ...filled.map((row) => `  ${line(row)}`)].join('\n')
}
