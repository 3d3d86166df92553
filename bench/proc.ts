// What the kernel knows about a process and its children (proc(5)).
import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100
const UTIME = 11
const STIME = 12

/** User and system time of a process and of all below it, in seconds, to a hundredth. */
export function cpuSeconds(pid: number): number {
  return family(pid).reduce((sum, member) => sum + ownTicks(member), 0) / TICKS_PER_SECOND
}

/**
 * The same to the nanosecond, of the threads that there are at the moment: for what costs little. As above where the kernel does not count it
 * so.
 */
export function fineCpuSeconds(pid: number): number {
  try {
    return (
      family(pid)
        .flatMap(threadNanoseconds)
        .reduce((sum, one) => sum + one, 0) / 1e9
    )
  } catch {
    return cpuSeconds(pid)
  }
}

function threadNanoseconds(pid: number): number[] {
  const threads = readdirSync(`/proc/${pid}/task`)
  return threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
}

/** How long a core has been doing anything for anybody, in seconds. */
export function coreBusySeconds(core: number): number {
  const line = readFileSync('/proc/stat', 'utf8').split('\n')[core + 1]!
  const [user, nice, system, , , irq, softirq] = line.split(' ').slice(1).map(Number)
  return (user! + nice! + system! + irq! + softirq!) / TICKS_PER_SECOND
}

/** Resident memory of a process and of all below it. */
export function rssKib(pid: number): number {
  return family(pid).reduce((sum, member) => sum + ownRssKib(member), 0)
}

function family(pid: number): number[] {
  return [pid, ...children(pid).flatMap(family)]
}

function children(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const lists = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'))
    return lists.join(' ').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function ownTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces; the fields after it do not. State is the first of them.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[UTIME]) + Number(fields[STIME])
}

function ownRssKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
}
