// Opens connections that do nothing, and weighs them.
import { setTimeout as sleep } from 'node:timers/promises'
import type { IdleJob, IdleResult } from '../job.ts'
import { cpuSeconds, rssKib } from '../proc.ts'
import { connect, inParallel } from './connect.ts'

/** Opened and closed first: they pay for the code, the buffers and the caches that any connection needs once. */
const WARM_UP = 300

export async function runIdle({ target, transport, accounts, settleSeconds }: IdleJob): Promise<IdleResult> {
  const open = async (account: IdleJob['accounts'][number]) => {
    const connection = await connect(target, transport, account)
    connection.socket.listen(() => {})
    return connection
  }
  const first = await inParallel(accounts.slice(0, WARM_UP), open)
  await Promise.all(first.map((connection) => connection.close()))
  await sleep(settleSeconds * 1000)
  const baseKib = rssKib(target.pid)
  const cpu = cpuSeconds(target.pid)
  const held = await inParallel(accounts, open)
  await sleep(settleSeconds * 1000)
  const kib = rssKib(target.pid) - baseKib
  const cpuMs = (cpuSeconds(target.pid) - cpu) * 1000
  await Promise.all(held.map((connection) => connection.close()))
  return {
    kind: 'idle',
    connections: accounts.length,
    kibPerConnection: kib / accounts.length,
    cpuMsPerConnect: cpuMs / accounts.length,
    baseMiB: baseKib / 1024,
  }
}
