// What 100 MB cost a server in memory, in by one door and out again, looked at from outside.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import type { Told } from '../client/line.ts'
import type { HttpVersion } from '../client/net.ts'
import type { ServerProcess } from '../server-process.ts'
import { patterned } from './disk.ts'
import { type Door, doorsOf } from './doors.ts'

const MB = 1_000_000
const LARGE_BYTES = 100 * MB
const MAX_GROWTH_BYTES = 20 * MB
const PIECE = patterned(MB / 10)

async function* large(bytes = LARGE_BYTES): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < bytes; sent += PIECE.length) yield PIECE
}

async function memory(pid: number, what: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(status)![1]) * 1024
}

/** By how much a process grew at most while this happened, from its size before. */
async function growth(pid: number, beforeBytes: number, action: () => Promise<void>): Promise<number> {
  // proc(5): "5: reset the peak resident set size".
  await writeFile(`/proc/${pid}/clear_refs`, '5')
  await action()
  return (await memory(pid, 'VmHWM')) - beforeBytes
}

async function digestOf({ body }: Pick<Told, 'body'>): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of body) digest.update(chunk)
  return digest.digest('hex')
}

/** The first time after a start, or after one of so many bytes; fails where it is more than 20 MB. */
export async function largeCosts(
  t: TestContext,
  server: ServerProcess,
  httpVersion: HttpVersion,
  name: Door,
  firstBytes = 0,
): Promise<void> {
  const doors = await doorsOf(server, httpVersion)
  if (firstBytes > 0) {
    const first = await doors.permit(name, firstBytes)
    assert.equal(await first.send(large(firstBytes)), first.doneStatus)
  }
  const started = await memory(server.pid, 'VmRSS')
  const upload = await doors.permit(name, LARGE_BYTES)
  const inBytes = await growth(server.pid, started, async () => {
    assert.equal(await upload.send(large()), upload.doneStatus)
  })
  const outBytes = await growth(server.pid, started, async () => {
    const wanted = await digestOf({ body: large() })
    assert.equal(await digestOf(await doors.download(upload.key)), wanted)
  })
  t.diagnostic(`grew by ${inBytes / MB} MB on the way in, by ${outBytes / MB} MB on the way out`)
  for (const bytes of [inBytes, outBytes]) assert.ok(bytes < MAX_GROWTH_BYTES, `grew by ${bytes} bytes`)
}
