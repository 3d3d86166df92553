// The configuration: flags over the file over the defaults.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import type { Document, LineCounter } from 'yaml'
import type { z } from 'zod'
import { isLoopbackHost } from './address.ts'
import { type Config, configSchema } from './config-schema.ts'
import { nearest } from './nearest.ts'

export type { Config, Role } from './config-schema.ts'

export type Flags = {
  readonly data?: string | undefined
  readonly port?: number | undefined
  readonly host?: string | undefined
}

/** One sentence that names the file, the line and the key; never a value, which may be a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Reads the file if there is one. Throws `ConfigError`. */
export function loadConfig(file: string | undefined, flags: Flags = {}): Config {
  const source = file === undefined ? undefined : new Source(file)
  const values = withFlags(source?.values() ?? {}, flags)
  const result = configSchema.safeParse(values)
  if (!result.success) throw explain(result.error.issues[0]!, source)
  return complete(result.data)
}

function complete(parsed: z.output<typeof configSchema>): Config {
  const data = resolve(parsed.data)
  return { ...parsed, data, secrets: resolve(parsed.secrets ?? join(data, 'secrets')) }
}

/** Who may register: a server that others can reach lets in who was invited, unless told otherwise. */
export const registrationModeOf = ({ registration, listen }: Config): 'open' | 'invite' | 'closed' =>
  registration.mode ?? (isLoopbackHost(listen.host) ? 'open' : 'invite')

type Values = Record<string, unknown>
const isValues = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const given = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

function withFlags(values: Values, { data, host, port }: Flags): Values {
  const listen = given({ host, port })
  const listening = isValues(values['listen']) ? { ...values['listen'], ...listen } : listen
  const listenWins = Object.keys(listen).length > 0 && isValues(values['listen'] ?? {})
  return { ...values, ...given({ data }), ...(listenWins ? { listen: listening } : {}) }
}

/** The parser takes 13 MiB, which a start without a file need not spend. */
const yaml = (): typeof import('yaml') => createRequire(import.meta.url)('yaml')

/** A YAML file that knows where each key stands. */
class Source {
  readonly file: string
  readonly #document: Document
  readonly #lines: LineCounter

  constructor(file: string) {
    this.file = file
    const { LineCounter, parseDocument } = yaml()
    this.#lines = new LineCounter()
    this.#document = parseDocument(readText(file), {
      lineCounter: this.#lines,
      prettyErrors: false,
      logLevel: 'error',
    })
  }

  values(): Values {
    const broken = this.#document.errors[0]
    if (broken) {
      throw new ConfigError(
        `${this.file}, line ${this.#lines.linePos(broken.pos[0]).line}: ${sentence(broken.message)}`,
      )
    }
    const values: unknown = this.#toJs() ?? {}
    if (!isValues(values)) throw new ConfigError(`${this.file}, line 1: must be a list of "key: value".`)
    return dropEmpty(values) as Values
  }

  /** The line of the key at a path, or of the nearest key above it. */
  line(path: readonly PropertyKey[]): number {
    const { isMap, isScalar } = yaml()
    let node: unknown = this.#document.contents
    let offset = 0
    for (const key of path) {
      if (!isMap(node)) break
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
      if (!pair) break
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    }
    return this.#lines.linePos(offset).line
  }

  #toJs(): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: 100 })
    } catch {
      throw new ConfigError(`${this.file}, line 1: has aliases that cannot be resolved.`)
    }
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'no such file' : (code ?? 'unreadable')
    throw new ConfigError(`Cannot read the configuration file ${file}: ${reason}.`)
  }
}

/** `key:` with nothing behind it means the default. */
function dropEmpty(value: unknown): unknown {
  if (!isValues(value)) return value
  const kept = Object.entries(value).filter(([, inner]) => inner !== null)
  return Object.fromEntries(kept.map(([key, inner]) => [key, dropEmpty(inner)]))
}

const sentence = (text: string) => {
  const first = text.split('\n')[0]!.trim()
  return /[.!?]$/.test(first) ? first : `${first}.`
}

/** Of the ways in which a value may be written, the one that was tried. */
function nearestIssue(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const tried = issue.errors
    .map(([first]) => first)
    .find((first) => first && (first.path.length > 0 || !/^invalid_(type|union)$/.test(first.code)))
  return tried ? { ...tried, path: [...issue.path, ...tried.path] } : issue
}

function explain(found: z.core.$ZodIssue, source: Source | undefined): ConfigError {
  const issue = nearestIssue(found)
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const path = unknown === undefined ? issue.path : [...issue.path, unknown]
  const place = source ? `${source.file}, line ${source.line(path)}` : 'Command line'
  const complaint = unknown === undefined ? wrongValue(issue) : unknownKey(unknown, issue.path)
  return new ConfigError(`${place}: "${pathText(path)}" ${complaint}.`)
}

/** `roles[1]`, `limits.messages.bucket` */
const pathText = (path: readonly PropertyKey[]) =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')

function unknownKey(key: string, parent: readonly PropertyKey[]): string {
  const what = parent[0] === 'limits' && parent.length === 1 ? 'is no limiter' : 'is no known key'
  const suggestion = nearest(key, keysAt(parent))
  return suggestion === undefined ? what : `${what} (did you mean "${suggestion}"?)`
}

function wrongValue(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPE_WORDS[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`
        : 'must not be empty'
    case 'too_big':
      return `must be at most ${issue.maximum}`
    case 'invalid_union':
      return 'must be a text, a number, true or false'
    default:
      return issue.message
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'a group of keys',
  record: 'a group of keys',
}

type Shape = Readonly<Record<string, z.ZodType>>
const shapeOf = (schema: unknown): Shape | undefined => {
  const { shape, def } = schema as { shape?: Shape; def?: { innerType?: unknown } }
  return shape ?? (def?.innerType === undefined ? undefined : shapeOf(def.innerType))
}

function keysAt(path: readonly PropertyKey[]): string[] {
  let shape: Shape | undefined = configSchema.shape
  for (const key of path) shape = shape && shapeOf(shape[String(key)])
  return Object.keys(shape ?? {})
}
