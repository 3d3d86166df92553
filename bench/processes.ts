// The processes of a run: a server on the first core, a generator on the second, none left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Job, Result, Target } from './job.ts'
import type { Floor } from './plan.ts'

const READY_WITHIN_MS = 20_000
const STOPPED_WITHIN_MS = 10_000
const SERVER_CORE = '0'
const GENERATOR_CORE = '1'
const ROOT = join(import.meta.dirname, '..')

export const pinned = availableParallelism() >= 2 && existsSync('/usr/bin/taskset')

/** The arguments with which `npm start` starts our server. */
function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return scripts.start.split(' ').slice(1)
}

/** The limiter of Signal lets 60 identified messages pass at once and one a second, per sender and recipient. */
export const LIMITS = { messages: { bucket: 1e9, refill: 0.000_001 } }

export type Ready = {
  readonly pid: number
  readonly urls: { readonly chat: string; readonly storage: string }
  readonly tls: { readonly caPem: string }
  readonly outbox?: string
}
export type Server = { readonly target: Target; readonly ready: Ready; stop(): Promise<void> }
export type Program = { readonly pid: number; readonly core: number | undefined; stop(): Promise<void> }

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

function start(
  core: string,
  command: readonly string[],
  output: number | 'inherit',
  ipc = false,
): ChildProcess {
  const [program, ...rest] = pinned ? ['taskset', '-c', core, ...command] : command
  const stdio = ['ignore' as const, output, output, ...(ipc ? ['ipc' as const] : [])]
  const child = spawn(program!, rest, { stdio, cwd: ROOT })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

export function startFloor(floor: Floor, directory: string): Promise<Server> {
  const frames = floor === 'thin' ? 'thin' : 'signal'
  const args = [join(ROOT, 'bench/floors', `${floor}.ts`), '--port', '0']
  return startServer(args, directory, { name: floor, frames, receipts: false })
}

/** `nodeOptions` go before the program, as `--cpu-prof` does. */
export async function startOurs(
  directory: string,
  nodeOptions: readonly string[] = [],
  more: Readonly<Record<string, unknown>> = {},
): Promise<Server> {
  mkdirSync(directory, { recursive: true })
  const config = join(directory, 'bench.yaml')
  const listen = { host: '127.0.0.1', port: await freePort() }
  writeFileSync(config, JSON.stringify({ limits: LIMITS, listen, ...more }))
  const args = [...nodeOptions, ...startArguments(), '--config', config]
  return startServer(args, directory, { name: 'ours', frames: 'signal', receipts: true })
}

/** A server of Node that takes `--data` and `--ready`. */
export async function startServer(
  args: readonly string[],
  directory: string,
  traits: Pick<Target, 'name' | 'frames' | 'receipts'>,
): Promise<Server> {
  mkdirSync(directory, { recursive: true })
  const readyFile = join(directory, `ready-${Date.now()}.json`)
  const log = join(directory, 'log')
  const output = openSync(log, 'a')
  const command = [process.execPath, ...args, '--data', join(directory, 'data'), '--ready', readyFile]
  const child = start(SERVER_CORE, command, output)
  closeSync(output)
  const ready = await readyWhen(child, readyFile, log)
  const { port } = new URL(ready.urls.chat)
  const core = pinned ? Number(SERVER_CORE) : undefined
  const target = { ...traits, pid: child.pid!, core, port: Number(port), caPem: ready.tls.caPem }
  return { target, ready, stop: () => stop(child) }
}

/** Any other program that stays in the foreground; it is there when something listens on the port. */
export async function startProgram(
  command: readonly string[],
  directory: string,
  port: number,
): Promise<Program> {
  const log = join(directory, 'log')
  const output = openSync(log, 'a')
  const child = start(SERVER_CORE, command, output)
  closeSync(output)
  await untilThere(child, log, () => isListening(port))
  return { pid: child.pid!, core: pinned ? Number(SERVER_CORE) : undefined, stop: () => stop(child) }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const outcome = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false)
  socket.destroy()
  return outcome
}

async function readyWhen(child: ChildProcess, file: string, log: string): Promise<Ready> {
  await untilThere(child, log, async () => existsSync(file))
  return JSON.parse(readFileSync(file, 'utf8'))
}

async function untilThere(child: ChildProcess, log: string, isThere: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS
  while (!(await isThere())) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`a server did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`)
    }
    await sleep(20)
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const timer = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS)
  child.kill('SIGTERM')
  await once(child, 'exit')
  clearTimeout(timer)
}

/** Runs one job in a fresh generator. */
export async function generate(job: Job): Promise<Result> {
  const child = start(GENERATOR_CORE, [process.execPath, join(ROOT, 'bench/generator.ts')], 'inherit', true)
  child.send(job)
  const result = await Promise.race([
    once(child, 'message').then(([message]) => message as Result),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the generator ended with ${code}`)
    }),
  ])
  return result
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}
