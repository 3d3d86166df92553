import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog, LOG_LEVELS, type LogLevel, silentLog } from './log.ts'

const capture = (level: LogLevel, isTTY = false) => {
  const lines: string[] = []
  const sink = { isTTY, write: (line: string) => lines.push(line) }
  return { lines, log: createLog({ level, sink, nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) }) }
}

test('a line is one JSON object with time, level, event and fields', () => {
  const { lines, log } = capture('info')
  log.warn('a disk is slow', { ms: 12, name: 'two\nlines', durable: true })
  assert.equal(lines.length, 1)
  assert.ok(lines[0]!.endsWith('\n'))
  assert.equal(lines[0]!.trim().split('\n').length, 1)
  assert.deepEqual(JSON.parse(lines[0]!), {
    at: '2026-01-02T03:04:05.006Z',
    level: 'warn',
    event: 'a disk is slow',
    ms: 12,
    name: 'two\nlines',
    durable: true,
  })
})

test('fields cannot pose as the time, the level or the event', () => {
  const { lines, log } = capture('info')
  log.info('real', { event: 'forged', level: 'error', at: 0 })
  assert.deepEqual(JSON.parse(lines[0]!), { at: '2026-01-02T03:04:05.006Z', level: 'info', event: 'real' })
})

test('a terminal gets a line for people, still only one', () => {
  const { lines, log } = capture('info', true)
  log.info('ready', { port: 8443, note: 'two\nlines' })
  assert.deepEqual(lines, ['03:04:05.006 info  ready port=8443 note="two\\nlines"\n'])
})

for (const [least, level] of LOG_LEVELS.entries()) {
  test(`level ${level} writes what is at least as serious`, () => {
    const { lines, log } = capture(level)
    for (const own of LOG_LEVELS) log[own]('x')
    assert.equal(lines.length, LOG_LEVELS.length - least)
  })
}

test('the silent log says nothing', (t) => {
  const written = t.mock.method(process.stderr, 'write', () => true)
  for (const level of LOG_LEVELS) silentLog[level]('x', { a: 1 })
  assert.equal(written.mock.callCount(), 0)
})
