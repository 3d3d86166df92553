// What the runner reads of a test file: one JSON line when a test begins, one when it is over.
import type { TestEvent } from 'node:test/reporters'

export type TestLine = {
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Why it was skipped, if it said so. */
  readonly reason?: string
}
export type ReportLine = TestLine | { readonly began: string } | { readonly over: string }

type Outcome = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>['data']

function outcome(data: Outcome, passed: boolean): TestLine {
  const mark = data.skip ?? data.todo
  if (mark === undefined || mark === false) return { name: data.name, outcome: passed ? 'passed' : 'failed' }
  return { name: data.name, outcome: 'skipped', ...(typeof mark === 'string' && { reason: mark }) }
}

function lineOf({ type, data }: TestEvent): ReportLine | undefined {
  if (type === 'test:dequeue') return { began: data.name }
  if (type === 'test:complete') return { over: data.name }
  if (type !== 'test:pass' && type !== 'test:fail') return undefined
  const line = outcome(data, type === 'test:pass')
  // A suite is its tests; of one that is skipped nobody else would tell.
  return data.details.type === 'suite' && line.outcome !== 'skipped' ? undefined : line
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const line = lineOf(event)
    if (line) yield `${JSON.stringify(line)}\n`
  }
}
