// `npm test [-- words]`: every test file in a process of its own, a line for each; `words` choose files by their path.
import { type ChildProcess, spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { bringPackages } from './packages.ts'
import type { ReportLine, TestLine } from './reporter.ts'

/** A file that takes longer hangs. */
const FILE_TIMEOUT_MS = 480_000
/** A single test that takes longer hangs. */
const TEST_TIMEOUT_MS = 420_000
/** After its last test a file may take this long to let go of everything. */
const END_WITHIN_MS = 15_000

const ROOT = join(import.meta.dirname, '..')
const FOLDERS = ['test', 'bench', 'server', 'wire', 'client', 'edge', 'deploy']
const MUST_RUN_ALL = process.env['CI'] === 'true'

const say = (line: string) => process.stdout.write(`${line}\n`)
const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`

type FileResult = {
  readonly file: string
  readonly tests: readonly TestLine[]
  readonly seconds: number
  /** What went wrong besides, or instead of, a test. */
  readonly trouble: string | undefined
  readonly output: string
}

const folder = mkdtempSync(join(tmpdir(), 'helio-run-'))
const running = new Set<ChildProcess>()

/** Ends a test's process and every process that it started. */
function kill(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // It is gone.
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of running) kill(child)
    rmSync(folder, { recursive: true, force: true })
    process.exit(130)
  })

function start(file: string, report: string): ChildProcess {
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${join(import.meta.dirname, 'reporter.ts')}`,
    `--test-reporter-destination=${report}`,
  ]
  const flags = ['--test', '--test-isolation=none', `--test-timeout=${TEST_TIMEOUT_MS}`, ...reporters]
  const env = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'node'), ...process.env }
  return spawn(process.execPath, ['--no-warnings', ...flags, file], {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function readReport(report: string): ReportLine[] {
  try {
    const lines = readFileSync(report, 'utf8').split('\n')
    return lines.filter(Boolean).map((line) => JSON.parse(line) as ReportLine)
  } catch {
    return []
  }
}

/** True if tests have run and none is running. */
function isIdle(report: string): boolean {
  const lines = readReport(report)
  const began = lines.filter((line) => 'began' in line).length
  return began > 0 && began === lines.filter((line) => 'over' in line).length
}

/** Resolves when the process is gone; says why, if it was not of its own accord. */
function untilGone(child: ChildProcess, report: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  let killed: string | undefined
  const stop = (why: string) => {
    killed ??= why
    kill(child)
  }
  const late = setTimeout(() => stop(`took longer than ${FILE_TIMEOUT_MS / 1000} s`), FILE_TIMEOUT_MS)
  let idleMs = 0
  const idle = setInterval(() => {
    idleMs = isIdle(report) ? idleMs + 1000 : 0
    if (idleMs >= END_WITHIN_MS) stop('did not end after its last test: something was left open')
  }, 1000)
  child.once('close', (code, signal) => {
    clearTimeout(late)
    clearInterval(idle)
    kill(child)
    const own = code === 0 ? undefined : `ended with ${signal ?? `code ${code}`}`
    resolve(killed ?? own)
  })
  return promise
}

async function runFile(file: string, index: number): Promise<FileResult> {
  const startedAt = performance.now()
  const report = join(folder, `${index}.jsonl`)
  const child = start(file, report)
  running.add(child)
  let output = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const trouble = await untilGone(child, report)
  running.delete(child)
  const tests = readReport(report).filter((line): line is TestLine => 'outcome' in line)
  return { file, tests, seconds: (performance.now() - startedAt) / 1000, trouble, output }
}

const count = (results: readonly FileResult[], outcome: TestLine['outcome']) =>
  results.flatMap((result) => result.tests).filter((one) => one.outcome === outcome).length

function show(result: FileResult): void {
  const failed = count([result], 'failed') > 0 || result.trouble !== undefined
  const skipped = count([result], 'skipped')
  const extra = skipped > 0 ? `, ${skipped} skipped` : ''
  const figures = `${plural(result.tests.length, 'test')}${extra}`
  say(`${failed ? '✖' : '✔'} ${result.file}  (${figures}, ${result.seconds.toFixed(1)} s)`)
  if (failed) showFailure(result)
}

/** The part of node's report that tells of failures; everything if there is none. */
function showFailure({ output, trouble }: FileResult): void {
  const from = output.lastIndexOf('✖ failing tests:')
  const lines = (from < 0 ? output : output.slice(from)).trimEnd().split('\n')
  for (const line of lines.slice(-200)) say(`    ${line}`)
  if (trouble !== undefined) say(`    the file ${trouble}`)
}

function chosenFiles(words: readonly string[]): string[] {
  const files = FOLDERS.flatMap((name) => globSync(`${name}/**/*.test.ts`, { cwd: ROOT }).sort())
  return words.length === 0 ? files : files.filter((file) => words.some((word) => file.includes(word)))
}

async function runAll(files: readonly string[]): Promise<FileResult[]> {
  const results: FileResult[] = []
  const waiting = [...files.entries()]
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const result = await runFile(next[1], next[0])
      results.push(result)
      show(result)
    }
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
  return results
}

/** What lies beside the repository is not in a stranger's clone, and nothing could install it there. */
const liesBeside = ({ reason }: TestLine) => reason?.startsWith('../') === true

/** Says what counts, and gives the exit code. */
function conclude(results: readonly FileResult[]): number {
  const skipped = results.flatMap(({ file, tests }) =>
    tests.filter((one) => one.outcome === 'skipped').map((one) => ({ ...one, file })),
  )
  const troubled = results.filter((one) => one.trouble !== undefined && count([one], 'failed') === 0)
  const failed = count(results, 'failed') + troubled.length
  say('')
  for (const { file, name, reason } of skipped)
    say(`skipped: ${file}: ${name}${reason ? ` (${reason})` : ''}`)
  if (skipped.length > 0) say(`${plural(skipped.length, 'test')} skipped`)
  const unallowed = MUST_RUN_ALL ? skipped.filter((one) => !liesBeside(one)).length : 0
  if (unallowed > 0) say('CI=true allows no skip of what can be installed: each counts as failed')
  if (results.length === 0) say('no test file was chosen')
  say(`${count(results, 'passed')} passed, ${failed + unallowed} failed`)
  return failed + unallowed > 0 || results.length === 0 ? 1 : 0
}

bringPackages(say)
const startedAt = performance.now()
const results = await runAll(chosenFiles(process.argv.slice(2)))
rmSync(folder, { recursive: true, force: true })
say(`\n${plural(results.length, 'file')} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
process.exitCode = conclude(results)
