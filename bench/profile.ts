// Reads a .cpuprofile: where the time went, by part of the program and by function.
// node bench/profile.ts FILE…
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

type CallFrame = { readonly functionName: string; readonly url: string; readonly lineNumber: number }
export type Profile = {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[]
  readonly samples: readonly number[]
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[]
}

const TOP = 25
const IDLE = '(idle)'
const GROUPS: readonly (readonly [RegExp, string])[] = [
  [/\/(server|wire)\/(?:gen|rest|proto|[^/]+\.ts)/, '$1'],
  [/\/server\/((?:[^/]+\/)*[^/]+)\/[^/]+$/, 'server/$1'],
  [/\/bench\/floors\//, 'floor'],
  [/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//, '$1'],
  [/tls|_tls|crypto/, 'node tls and crypto'],
  [/http2/, 'node http2'],
  [/_http|http/, 'node http'],
  [/stream|net|_stream/, 'node net and streams'],
  [/worker|message_port|per_context/, 'node worker messages'],
  [/timers|task_queues|process/, 'node timers and ticks'],
  [/buffer|string_decoder|encoding/, 'node buffer'],
  [/node:/, 'node, other'],
]

const read = (file: string): Profile => JSON.parse(readFileSync(file, 'utf8'))

/** The profiles that `node --cpu-prof` left: the busiest is the main thread's. */
export function profileIn(directory: string): { main: Profile; threads: readonly Profile[] } {
  const profiles = readdirSync(directory).map((name) => read(join(directory, name)))
  const [main, ...threads] = profiles.toSorted((a, b) => busyMs(b) - busyMs(a))
  return { main: main!, threads: threads.filter((thread) => busyMs(thread) > 0) }
}

/** `lastSeconds` leaves out what came before, such as the start of the program. */
export function printProfile(title: string, whole: Profile, lastSeconds = Number.POSITIVE_INFINITY): void {
  const profile = tail(whole, lastSeconds)
  const total = busyMs(profile)
  console.log(`\n${title}: ${(total / 1000).toFixed(1)} s busy`)
  printTop('by part', sumBy(profile, groupOf), total)
  printTop('by function (self time)', sumBy(profile, nameOf), total)
}

function printTop(title: string, sums: ReadonlyMap<string, number>, total: number): void {
  console.log(`  ${title}`)
  const sorted = [...sums].toSorted(([, a], [, b]) => b - a).slice(0, TOP)
  for (const [name, ms] of sorted) {
    console.log(`    ${((ms / total) * 100).toFixed(1).padStart(5)} %  ${name}`)
  }
}

function tail(profile: Profile, seconds: number): Profile {
  const { samples, timeDeltas } = profile
  let first = samples.length
  for (let micros = 0; first > 0 && micros < seconds * 1e6; first--) micros += timeDeltas[first - 1]!
  return { ...profile, samples: samples.slice(first), timeDeltas: timeDeltas.slice(first) }
}

const busyMs = (profile: Profile): number =>
  [...sumBy(profile, groupOf).values()].reduce((sum, ms) => sum + ms, 0)

function sumBy(
  { nodes, samples, timeDeltas }: Profile,
  label: (frame: CallFrame) => string,
): Map<string, number> {
  const busy = nodes.filter(({ callFrame }) => callFrame.functionName !== IDLE)
  const labels = new Map(busy.map(({ id, callFrame }) => [id, label(callFrame)]))
  const sums = new Map<string, number>()
  for (const [index, id] of samples.entries()) {
    const name = labels.get(id)
    if (name) sums.set(name, (sums.get(name) ?? 0) + timeDeltas[index]! / 1000)
  }
  return sums
}

function groupOf({ functionName, url }: CallFrame): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'native code'
  for (const [pattern, group] of GROUPS) {
    const found = pattern.exec(url)
    if (found) return group.replace('$1', found[1] ?? '')
  }
  return 'other'
}

function nameOf({ functionName, url, lineNumber }: CallFrame): string {
  const place = url.replace(/^file:\/\//, '').replace(`${process.cwd()}/`, '')
  return `${functionName || '(anonymous)'}  ${place && `${place}:${lineNumber + 1}`}`
}

if (import.meta.main) for (const file of process.argv.slice(2)) printProfile(file, read(file))
