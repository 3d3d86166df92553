// The tests of a file as text, found by their indentation: the formatter sees to it that a block ends where it began.
import type { SourceFile } from './source.ts'

export type Block = { readonly name: string; readonly text: string }

const TEST = /^( *)(?:await )?(?:t\.)?(?:test|forEachEngine)(?:\.\w+)?\(/
const DECLARED = /^( *)(?:export )?(?:(?:async )?function\*? (\w+)|const (\w+) = (?:async )?(?:\(|\w+ =>|<))/

/** A line, and if it opens something, what follows up to the line of the same indentation that closes it. */
function blockAt(lines: readonly string[], start: number): string {
  const first = lines[start]!
  if (!/[({[,=>]$/.test(first)) return first
  const indent = /^ */.exec(first)![0]
  const closing = new RegExp(`^${indent}[})\\]]`)
  const end = lines.findIndex((line, index) => index > start && closing.test(line) && !/[({[]$/.test(line))
  return lines.slice(start, end < 0 ? undefined : end + 1).join('\n')
}

const blocksOf = (file: SourceFile, pattern: RegExp, nameOf: (match: RegExpExecArray) => string): Block[] => {
  const lines = file.text.split('\n')
  return lines.flatMap((line, index) => {
    const match = pattern.exec(line)
    return match ? [{ name: nameOf(match), text: blockAt(lines, index) }] : []
  })
}

/** The tests of a file; one whose name is not written there has its first line for a name. */
export const testsOf = (file: SourceFile): Block[] =>
  blocksOf(file, TEST, () => '').map(({ text }) => ({
    name: /^[^'"`]*\(\s*(['"`])((?:(?!\1).)*)\1/.exec(text)?.[2] ?? text.split('\n')[0]!,
    text,
  }))

const functionsOf = (file: SourceFile): Block[] =>
  blocksOf(file, DECLARED, (match) => match[2] ?? match[3] ?? '').filter(
    ({ name }) => name !== 'forEachEngine',
  )

/** `run`: a wrapper gets the test itself as that. */
const ASSERTS = /\bassert\b|\bfail\(|\bexpect[A-Z]\w*\(|\brun\(/

const asserts = (text: string, asserting: ReadonlySet<string>): boolean =>
  ASSERTS.test(text) ||
  Array.from(text.matchAll(/(?<!\.)\b(\w+)\(/g)).some(([, name]) => asserting.has(name!))

/** The names of functions that assert, by themselves or by calling another that does: a file's own, and what it imports. */
function assertingFunctions(files: readonly SourceFile[]): Set<string> {
  const functions = files.flatMap(functionsOf)
  const asserting = new Set<string>()
  for (let before = -1; before !== asserting.size; ) {
    before = asserting.size
    for (const { name, text } of functions) if (asserts(text, asserting)) asserting.add(name)
  }
  return asserting
}

/** The tests that could not fail but by an error: nothing in them asserts. */
export function idleTests(file: SourceFile, files: readonly SourceFile[]): Block[] {
  const imported = files.filter(({ path }) => path.startsWith('test/') && file.imports.includes(path))
  const asserting = assertingFunctions([file, ...imported])
  return testsOf(file).filter(({ text }) => !asserts(text, asserting))
}
