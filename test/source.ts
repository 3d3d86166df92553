// The project's own source as the rules see it: files, what they import, what they say without comments.
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const FOLDERS = ['wire', 'server', 'client', 'test', 'bench', 'edge', 'deploy']

export type SourceFile = {
  /** From the root, with `/`. */
  readonly path: string
  readonly text: string
  /** Paths from the root of what it imports of ours. */
  readonly imports: readonly string[]
}

const IMPORT = /(?:^(?:import|export)\s[^;'"`=(]*?(?:\bfrom\s+)?|\bimport\s*\(\s*)'(\.[^']+)'/gm

function read(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const imports = Array.from(text.matchAll(IMPORT), ([, target]) => normalize(join(dirname(path), target!)))
  return { path, text, imports }
}

/** Every TypeScript file that people wrote, without declarations. */
export const sourceFiles = (): SourceFile[] =>
  FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT }).sort())
    .filter((path) => !path.endsWith('.d.ts') && !path.includes('node_modules'))
    .map(read)

export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
export const filesOf = (pattern: string): string[] => globSync(pattern, { cwd: ROOT }).sort()

/** Without comments, line by line, so that a rule meets code only. Regular expressions and texts stay. */
export const codeLines = (text: string): string[] =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .split('\n')
    .map((line) => line.replace(/(^|\s)\/\/.*$/, ''))

/** A file's cycle through its imports, if there is one. */
export function findCycle(files: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const walk = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (done.has(path)) return undefined
    for (const next of byPath.get(path)?.imports ?? []) {
      const cycle = walk(next, [...trail, path])
      if (cycle) return cycle
    }
    done.add(path)
    return undefined
  }
  for (const { path } of files) {
    const cycle = walk(path, [])
    if (cycle) return cycle
  }
  return undefined
}
